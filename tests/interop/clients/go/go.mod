module celeriac.example/interop

go 1.21
