# The flags and the test function that every folder uses.

include(GNUInstallDirs)
add_library(touchstone_flags INTERFACE)
target_include_directories(touchstone_flags INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                           $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/touchstone>)
target_compile_features(touchstone_flags INTERFACE cxx_std_20)
# Who uses the installed package chooses his own warnings.
target_compile_options(touchstone_flags INTERFACE $<BUILD_INTERFACE:-Wall;-Wextra;-Wpedantic;$<$<CXX_COMPILER_ID:GNU>:-Wno-missing-field-initializers>;-Werror;-fno-omit-frame-pointer>)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  target_compile_options(touchstone_flags INTERFACE $<BUILD_INTERFACE:-Wthread-safety>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # Designated initializers name what differs from the default; g++ 12 alone objects to what they leave out.
  target_compile_options(touchstone_flags INTERFACE $<BUILD_INTERFACE:-Wno-missing-field-initializers>)
endif()
if(TOUCHSTONE_SANITIZE)
  target_compile_options(touchstone_flags INTERFACE -fsanitize=${TOUCHSTONE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(touchstone_flags INTERFACE -fsanitize=${TOUCHSTONE_SANITIZE})
endif()
target_link_libraries(touchstone_flags INTERFACE Threads::Threads)

# touchstone_test(NAME <name> LABEL <label> SOURCES <files> [LINK <libraries>] [TIMEOUT <seconds>] [SERIAL])
#
# One GoogleTest binary whose tests ctest sees one by one, each with exactly one label
# (unit model property schedule stress chaos fuzz bench engines meta). Its main prints the seed before anything can fail.
# TIMEOUT is a watchdog that catches hangs; it is no measurement. Tests put their files under TMPDIR; the fixture
# `machine` (ci/CMakeLists.txt) fails when a segment, a process or a file outlives them.
set(TOUCHSTONE_TEST_TMPDIR ${PROJECT_BINARY_DIR}/tmp)
function(touchstone_test)
  cmake_parse_arguments(T "SERIAL" "NAME;LABEL;TIMEOUT" "SOURCES;LINK" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  add_executable(${T_NAME} ${T_SOURCES})
  target_link_libraries(${T_NAME} PRIVATE touchstone_flags ${T_LINK} touchstone_test_main GTest::gtest)
  add_dependencies(${T_NAME} leftovers)
  set(properties LABELS ${T_LABEL} TIMEOUT ${T_TIMEOUT} FIXTURES_REQUIRED machine
                 ENVIRONMENT TMPDIR=${TOUCHSTONE_TEST_TMPDIR})
  if(T_SERIAL)
    list(APPEND properties RUN_SERIAL TRUE)
  endif()
  if(NOT TARGET tests_${T_LABEL})
    add_custom_target(tests_${T_LABEL})  # builds all tests of one label
  endif()
  add_dependencies(tests_${T_LABEL} ${T_NAME})
  gtest_discover_tests(${T_NAME} TEST_PREFIX "${T_LABEL}/" DISCOVERY_TIMEOUT 60 PROPERTIES ${properties})
endfunction()
include(GoogleTest)
