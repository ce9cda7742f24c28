# Thirty seconds of libFuzzer from the kept corpus. New inputs and crashes go to WORK; the corpus itself stays as it is.
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
execute_process(COMMAND ${FUZZER} -max_total_time=30 -max_len=512 -timeout=20 -print_final_stats=1 -artifact_prefix=${WORK}/ ${WORK} ${CORPUS}
                RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "the fuzzer ended with ${result}; its input is in ${WORK}")
endif()
file(REMOVE_RECURSE ${WORK})
