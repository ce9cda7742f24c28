# Thirty seconds of libFuzzer from the kept corpus. New inputs and crashes go to WORK; the corpus itself stays as it is.
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
set(seed)
if(DEFINED ENV{TOUCHSTONE_SEED})  # libFuzzer's own has 32 bits, and 0 means the clock
  string(SHA256 digest "$ENV{TOUCHSTONE_SEED}")
  string(SUBSTRING ${digest} 0 7 digest)
  math(EXPR seed "1 + 0x${digest}")
  set(seed -seed=${seed})
endif()
execute_process(COMMAND ${FUZZER} -max_total_time=30 -max_len=512 -timeout=20 -print_final_stats=1 ${seed} -artifact_prefix=${WORK}/ ${WORK} ${CORPUS}
                RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "the fuzzer ended with ${result}; its input is in ${WORK}")
endif()
file(REMOVE_RECURSE ${WORK})
