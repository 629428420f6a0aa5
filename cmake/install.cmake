# What `cmake --install` copies of the library: header, static and shared library, pkg-config and CMake package files.
# (The program, its documents and the model: cli/CMakeLists.txt.) No file names the prefix, so the tree can be moved.
include(CMakePackageConfigHelpers)

install(FILES include/entropix.h include/entropix_sampler.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# Two export sets: a program that links the shared library needs no development files of utf8proc and PCRE2.
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/entropix)
foreach(kind static shared)
  install(TARGETS entropix_${kind} EXPORT entropix-${kind})
  install(EXPORT entropix-${kind} NAMESPACE entropix:: DESTINATION ${package_dir})
endforeach()
configure_package_config_file(cmake/entropix-config.cmake.in ${PROJECT_BINARY_DIR}/entropix-config.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/entropix-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/entropix-config.cmake ${PROJECT_BINARY_DIR}/entropix-config-version.cmake
  DESTINATION ${package_dir})

file(RELATIVE_PATH prefix_from_pc /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/entropix.pc.in ${PROJECT_BINARY_DIR}/entropix.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/entropix.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(FILES models/README.md DESTINATION ${CMAKE_INSTALL_DATADIR}/entropix OPTIONAL)
install(FILES LICENSE README.md CHANGES.md DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
