package hosttest

import (
	"flag"
	"reflect"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// slowest is the longest average time of an execution of a fuzz target: with fewer than 200 a second a fuzzer finds nothing.
const slowest = 5 * time.Millisecond

// runs is how often each seed is executed. The fastest run counts, so that other processes and garbage collection do not.
const runs = 3

// Fuzz is f.Fuzz for a target that must be fast. If only the seeds are executed, without fuzzing, it fails the test if they take more than 5 ms
// of processor time on average; a busy machine makes no difference to that.
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

// fastest returns the processor time of the fastest of several calls.
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

// threadTime returns the processor time of this thread.
func threadTime() time.Duration {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &at); err != nil {
		panic(err)
	}
	return time.Duration(at.Nano())
}
