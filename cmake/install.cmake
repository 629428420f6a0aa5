# What `cmake --install` copies: header, both libraries with pkg-config and CMake package files, the program with its
# manual pages and completion, and the model. Nothing installed names the prefix, so the tree can be moved.
include(CMakePackageConfigHelpers)

install(FILES include/entropix.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# Two export sets: a program that links the shared library needs no development files of PCRE2 and utf8proc.
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

if(ENTROPIX_CLI)
  install(TARGETS entropix)
endif()
install(FILES models/README.md DESTINATION ${CMAKE_INSTALL_DATADIR}/entropix/models OPTIONAL)
install(FILES models/entropix-40m-q6_k.gguf DESTINATION ${CMAKE_INSTALL_DATADIR}/entropix/models OPTIONAL)
install(FILES LICENSE README.md CHANGES.md DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
