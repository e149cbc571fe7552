# g++ 12 destroys some temporaries inside a co_await expression twice: a braced aggregate or a
# capturing lambda there is refused. Give it a name first.
file(GLOB_RECURSE files ${ROOT}/protocol/*.?pp ${ROOT}/config/*.?pp ${ROOT}/queues/*.?pp ${ROOT}/worker/*.?pp
     ${ROOT}/tasks/*.?pp ${ROOT}/cli/*.?pp ${ROOT}/tests/*.?pp ${ROOT}/examples/*.?pp)
set(faults "")
foreach(file ${files})
  file(STRINGS ${file} lines REGEX "co_await .*(\\(\\{|\\{\\.|\\[[^]]*\\] *(\\(|\\{))")
  foreach(line ${lines})
    file(RELATIVE_PATH where ${ROOT} ${file})
    list(APPEND faults "${where}: ${line}")
  endforeach()
endforeach()
if(faults)
  list(JOIN faults "\n  " text)
  message(FATAL_ERROR "Temporaries inside co_await:\n  ${text}")
endif()
