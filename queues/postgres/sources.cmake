target_sources(celeriac_queues PRIVATE )
