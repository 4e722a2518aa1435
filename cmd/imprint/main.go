// Command imprint turns a software closure into a bootable disk image.
package main

import (
	"cmp"
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"syscall"

	"imprint/internal/processors"
	"imprint/internal/sandbox"
)

func main() {
	sandbox.Begin()
	if os.Getenv("GOMAXPROCS") == "" {
		processors.Spread()
	}
	tuneMemory()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills the program
	os.Exit(Main(ctx, world{os.Stdout, os.Stderr, os.Args[1:], os.Getenv}))
}

// Main runs the program with the arguments, environment and outputs of w, and returns the exit code.
func Main(ctx context.Context, w world) int {
	root := newRoot(w)
	root.cmd.SetArgs(w.args)
	defer func() {
		for _, release := range root.held {
			release()
		}
	}()
	err := root.cmd.ExecuteContext(ctx)
	return root.report(ctx, cmp.Or(err, root.printed.err))
}

// The heap may grow to roomy bytes without garbage collection, then to a quarter more than the live heap, plus slack bytes.
const (
	roomy = 96 << 20
	slack = 16 << 20
)

// tuneMemory turns off garbage collection while the heap is small: most builds never need one. The limit follows the live
// heap, so that a large heap is not collected all the time.
func tuneMemory() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(roomy)
	followHeap()
}

// followHeap updates the limit after every collection.
func followHeap() {
	runtime.AddCleanup(new([64]byte), func(struct{}) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		debug.SetMemoryLimit(max(roomy, int64(live[0].Value.Uint64())*5/4+slack))
		followHeap()
	}, struct{}{})
}
