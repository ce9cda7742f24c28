# cmake --install, and find_package(Touchstone CONFIG COMPONENTS engine etcd model harness) for other projects:
#
#   target_link_libraries(mine PRIVATE Touchstone::engine)     # #include "engine/store.h"
#
# engine: the store, segments and worker processes. etcd: the same contract kept in etcd, with engine. model: specifications, histories, the checker. harness: the suite, the explorer, the
# claims, and a main for GoogleTest. Each is one target that brings its libraries.

include(CMakePackageConfigHelpers)

set(headers ${CMAKE_INSTALL_INCLUDEDIR}/touchstone)
set(config ${CMAKE_INSTALL_LIBDIR}/cmake/Touchstone)

# touchstone_component(<name> FOLDERS <of its headers> WITHOUT <folders in them> LIBRARIES <targets>)
function(touchstone_component NAME)
  cmake_parse_arguments(C "" "" "FOLDERS;WITHOUT;LIBRARIES" ${ARGN})
  list(TRANSFORM C_WITHOUT REPLACE "(.+)" "PATTERN;\\1;EXCLUDE")
  add_library(touchstone_component_${NAME} INTERFACE)
  target_link_libraries(touchstone_component_${NAME} INTERFACE ${C_LIBRARIES})
  set_target_properties(touchstone_component_${NAME} PROPERTIES EXPORT_NAME ${NAME})
  install(TARGETS touchstone_component_${NAME} ${C_LIBRARIES} EXPORT Touchstone-${NAME}
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT Touchstone-${NAME} NAMESPACE Touchstone:: DESTINATION ${config})
  foreach(folder ${C_FOLDERS})
    cmake_path(GET folder PARENT_PATH above)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${headers}/${above} FILES_MATCHING PATTERN *.h ${C_WITHOUT})
  endforeach()
endfunction()

touchstone_component(engine FOLDERS engine WITHOUT etcd test_*.h
                     LIBRARIES touchstone_flags touchstone_engine touchstone_segments touchstone_parallel)
touchstone_component(etcd FOLDERS engine/etcd LIBRARIES touchstone_http touchstone_etcd)
touchstone_component(model FOLDERS model LIBRARIES touchstone_model)
touchstone_component(harness FOLDERS harness stress WITHOUT etcd mutants page scenarios
                     LIBRARIES touchstone_harness_base touchstone_test_main touchstone_suite touchstone_foreign touchstone_verify
                               touchstone_campaign touchstone_report touchstone_commands
                               touchstone_history touchstone_explore touchstone_scenarios touchstone_scheduled touchstone_chaos
                               touchstone_claims)

# A foreign engine is written against these: #include <touchstone/engine.h>, and the examples.
install(FILES ${PROJECT_SOURCE_DIR}/harness/touchstone/engine.h DESTINATION ${headers})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(TARGETS touchstone RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/harness/scenarios DESTINATION ${CMAKE_INSTALL_DATADIR}/touchstone)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/CHANGELOG.md ${PROJECT_SOURCE_DIR}/README.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${PROJECT_SOURCE_DIR}/docs/touchstone.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${PROJECT_SOURCE_DIR}/harness/shell/touchstone.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        RENAME touchstone)

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/TouchstoneConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/TouchstoneConfig.cmake INSTALL_DESTINATION ${config})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/TouchstoneConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/TouchstoneConfig.cmake ${PROJECT_BINARY_DIR}/TouchstoneConfigVersion.cmake
        DESTINATION ${config})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "Touchstone <touchstone@localhost>")
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
find_program(DPKG_SHLIBDEPS dpkg-shlibdeps)
if(DPKG_SHLIBDEPS)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
endif()
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libboost-dev, libfmt-dev, nlohmann-json3-dev, libcli11-dev, librapidcheck-dev, libgtest-dev, etcd-server")
include(CPack)
