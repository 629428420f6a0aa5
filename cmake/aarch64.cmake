# Cross-compiles for 64-bit Arm and runs what is built under qemu-user. tools/fetch_aarch64.sh brings the libraries.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
# GCC 12 stops with an internal error where it vectorises a reduction for this target; the kernels do without that.
set(CMAKE_C_FLAGS_INIT -fno-tree-vectorize)

set(libraries ${CMAKE_CURRENT_LIST_DIR}/../build/aarch64-libraries)
cmake_path(NORMAL_PATH libraries)
set(ENV{PKG_CONFIG_LIBDIR} ${libraries}/usr/lib/aarch64-linux-gnu/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${libraries})
set(folders ${libraries}/usr/lib/aarch64-linux-gnu:${libraries}/lib/aarch64-linux-gnu)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-rpath-link,${folders}")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-Wl,-rpath-link,${folders}")
set(CMAKE_FIND_ROOT_PATH ${libraries})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY BOTH)

set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -L /usr/aarch64-linux-gnu
  -E LD_LIBRARY_PATH=${folders})
