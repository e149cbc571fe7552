target_sources(celeriac_queues PRIVATE
  amqp/ack_window.cpp
  amqp/amqp_broker.cpp
  amqp/broadcasts.cpp
  amqp/codec.cpp
  amqp/connection.cpp
  amqp/consuming_channel.cpp
  amqp/consumption.cpp
  amqp/content.cpp
  amqp/delayed_delivery.cpp
  amqp/errands.cpp
  amqp/field_table.cpp
  amqp/lost_deliveries.cpp
  amqp/publisher.cpp
  amqp/session.cpp
  amqp/topology.cpp
  amqp/url.cpp)
