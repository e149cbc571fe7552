// gocelery (message protocol 1): client BROKER
package main

import (
	"log"
	"os"
	"reflect"
	"time"

	"github.com/gocelery/gocelery"
	"github.com/gomodule/redigo/redis"
)

func main() {
	pool := &redis.Pool{Dial: func() (redis.Conn, error) { return redis.DialURL(os.Args[1]) }}
	client, err := gocelery.NewCeleryClient(gocelery.NewRedisBroker(pool), &gocelery.RedisCeleryBackend{Pool: pool}, 1)
	if err != nil {
		log.Fatal(err)
	}
	expect := func(result *gocelery.AsyncResult, err error, want any) {
		if err != nil {
			log.Fatal(err)
		}
		got, err := result.Get(20 * time.Second)
		if err != nil {
			log.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			log.Fatalf("%v (%T) instead of %v (%T)", got, got, want, want)
		}
	}
	for n := 0; n < 200; n++ {
		result, err := client.Delay("interop.add", n, 0.5)
		expect(result, err, float64(n)+0.5)
	}
	odd := map[string]any{"zażółć": []any{"\U0001F600", nil, true, -2.25}}
	result, err := client.Delay("interop.echo", odd)
	expect(result, err, odd)
	result, err = client.DelayKwargs("interop.echo", map[string]any{"x": "by name"})
	expect(result, err, "by name")
	log.Print("gocelery, protocol 1: 202 tasks")
}
