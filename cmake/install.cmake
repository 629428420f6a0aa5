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

# Manual pages and completion come out of the program's own table of options.
if(ENTROPIX_CLI)
  install(TARGETS entropix)
  if(NOT CMAKE_CROSSCOMPILING)
    set(help_folder ${PROJECT_BINARY_DIR}/help)
    file(MAKE_DIRECTORY ${help_folder})
    foreach(command "" run chat decide logits tokenize info bench quantize)
      string(REGEX REPLACE "(.+)" "-\\1" suffix "${command}")
      set(page ${help_folder}/entropix${suffix}.1)
      add_custom_command(OUTPUT ${page} COMMAND entropix man ${command} > ${page} DEPENDS entropix)
      list(APPEND pages ${page})
    endforeach()
    set(completion ${help_folder}/entropix)
    add_custom_command(OUTPUT ${completion} COMMAND entropix completion bash > ${completion} DEPENDS entropix)
    add_custom_target(help_files ALL DEPENDS ${pages} ${completion})
    install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    install(FILES ${completion} DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  endif()
endif()
install(FILES models/entropix-40m-q6_k.gguf DESTINATION ${CMAKE_INSTALL_DATADIR}/entropix OPTIONAL)
install(FILES models/README.md DESTINATION ${CMAKE_INSTALL_DATADIR}/entropix OPTIONAL)
install(FILES LICENSE README.md CHANGES.md DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
