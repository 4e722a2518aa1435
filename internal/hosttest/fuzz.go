package hosttest

import (
	"flag"
	"reflect"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// slowest is what one execution of a fuzz target may cost on average, so that a fuzzer comes to 200 in a second: below that it finds nothing.
const slowest = 5 * time.Millisecond

// runs is how often each seed is executed; the fastest counts, so that no other process and no garbage collection does.
const runs = 3

// Fuzz is f.Fuzz for a target that must be fast. Where nothing is fuzzed, and only the seeds are executed, it fails the test when they take
// longer than [slowest] on average: of the processor, not by the clock, so that a busy machine makes no difference.
func Fuzz(f *testing.F, target any) {
	f.Helper()
	if fuzzing() {
		f.Fuzz(target)
		return
	}
	var spent time.Duration
	seeds := 0
	body := reflect.ValueOf(target)
	f.Cleanup(func() {
		if seeds > 0 && spent/time.Duration(seeds) > slowest {
			f.Errorf("%d seeds take %v each: that is less than %d executions in a second", seeds, spent/time.Duration(seeds), time.Second/slowest)
		}
	})
	f.Fuzz(reflect.MakeFunc(body.Type(), func(args []reflect.Value) []reflect.Value {
		seeds++
		spent += fastest(func() { body.Call(args) })
		return nil
	}).Interface())
}

// fuzzing reports whether the test binary fuzzes a target.
func fuzzing() bool {
	for _, name := range []string{"test.fuzz", "test.fuzzworker"} {
		if v := flag.Lookup(name); v != nil && v.Value.String() != "" && v.Value.String() != "false" {
			return true
		}
	}
	return false
}

// fastest is the time of the processor that the fastest of several calls takes.
func fastest(call func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	least := time.Duration(1<<63 - 1)
	for range runs {
		start := threadTime()
		call()
		least = min(least, threadTime()-start)
	}
	return least
}

// threadTime is how long this thread has run.
func threadTime() time.Duration {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &at); err != nil {
		panic(err)
	}
	return time.Duration(at.Nano())
}
