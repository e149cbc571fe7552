target_sources(celeriac_worker PRIVATE )
