# Tests of the consumer and its decisions; included by CMakeLists.txt.
celeriac_test(worker_decisions_test
  SOURCES autoscaler_test.cpp dead_letter_notice_test.cpp settle_test.cpp prefetch_test.cpp rate_limit_test.cpp revoked_test.cpp shutdown_test.cpp stall_test.cpp
          node_name_test.cpp routes_test.cpp request_test.cpp log_format_test.cpp redact_test.cpp pidfile_test.cpp
  LIBS celeriac_worker spdlog::spdlog)

celeriac_test(worker_control_test SOURCES gossip_test.cpp events_test.cpp mailbox_test.cpp control_test.cpp consumer_taken_test.cpp LIBS celeriac_worker)

celeriac_test(worker_health_test SOURCES health_test.cpp LIBS celeriac_worker)

# Celery's own client (Debian's packages) against the conformance worker and a private Redis.
find_program(DEBIAN_PYTHON3 python3 PATHS /usr/bin NO_DEFAULT_PATH)
if(DEBIAN_PYTHON3 AND TARGET conformance_worker)
  foreach(pool threads prefork)
    add_test(NAME worker_end_to_end_${pool}
      COMMAND ${DEBIAN_PYTHON3} ${PROJECT_SOURCE_DIR}/tests/worker/end_to_end.py $<TARGET_FILE:conformance_worker> ${pool})
    set_tests_properties(worker_end_to_end_${pool} PROPERTIES TIMEOUT 300 LABELS integration)
  endforeach()
endif()

celeriac_test(worker_canvas_test SOURCES canvas_plan_test.cpp canvas_follow_test.cpp LIBS celeriac_worker)

celeriac_test(worker_beat_test SOURCES beat_crontab_test.cpp beat_schedule_test.cpp LIBS celeriac_worker)
add_executable(crontab_next crontab_next.cpp)
target_link_libraries(crontab_next PRIVATE celeriac_worker)
if(DEBIAN_PYTHON3)
  add_test(NAME worker_crontab_property
    COMMAND sh -c "exec \"\${CELERIAC_CELERY56_PYTHON:-${DEBIAN_PYTHON3}}\" \"$@\"" sh
            ${CMAKE_CURRENT_SOURCE_DIR}/crontab_property.py $<TARGET_FILE:crontab_next>)
  set_tests_properties(worker_crontab_property PROPERTIES TIMEOUT 120 LABELS integration)
endif()

celeriac_test(worker_client_test SOURCES client_test.cpp LIBS celeriac_worker celeriac_test_redis LABELS redis threads)
