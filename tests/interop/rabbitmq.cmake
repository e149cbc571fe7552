# Over RabbitMQ, which takes seconds to start and a minute on a loaded machine: all on demand.
#   ctest -L rabbitmq
set(rabbitmq_tests interop_rabbitmq)
add_test(NAME interop_rabbitmq
  COMMAND /usr/bin/python3 ${CMAKE_CURRENT_LIST_DIR}/rabbitmq.py --worker $<TARGET_FILE:interop_worker>
    --celeriac $<TARGET_FILE:celeriac>)
foreach(name connections mailboxes queues quorum tls)
  list(APPEND rabbitmq_tests interop_rabbitmq_${name})
  add_test(NAME interop_rabbitmq_${name}
    COMMAND /usr/bin/python3 ${CMAKE_CURRENT_LIST_DIR}/rabbitmq_${name}.py --worker $<TARGET_FILE:interop_worker>)
endforeach()
list(APPEND rabbitmq_tests interop_bridge interop_rabbitmq_keeper interop_rabbitmq_pause)
foreach(name keeper pause)
  add_test(NAME interop_rabbitmq_${name}
    COMMAND /usr/bin/python3 ${CMAKE_CURRENT_LIST_DIR}/rabbitmq_${name}.py --worker $<TARGET_FILE:interop_worker>
      --celeriac $<TARGET_FILE:celeriac>)
endforeach()
add_test(NAME interop_bridge
  COMMAND /usr/bin/python3 ${CMAKE_CURRENT_LIST_DIR}/bridge.py --worker $<TARGET_FILE:interop_worker>
    --celeriac $<TARGET_FILE:celeriac>)
foreach(name control flower_shapes kill_test mixed_fleet rpc_results)
  list(APPEND rabbitmq_tests interop_rabbitmq_${name})
  add_test(NAME interop_rabbitmq_${name}
    COMMAND /usr/bin/python3 ${CMAKE_CURRENT_LIST_DIR}/${name}.py --worker $<TARGET_FILE:interop_worker> --broker rabbitmq)
endforeach()
set_tests_properties(${rabbitmq_tests} PROPERTIES TIMEOUT 600 LABELS "interop;rabbitmq;on-demand" SKIP_RETURN_CODE 77)
