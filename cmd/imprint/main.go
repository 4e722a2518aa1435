// Command imprint turns a software closure into a bootable disk image.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"syscall"

	"imprint/internal/processors"
)

func main() {
	if os.Getenv("GOMAXPROCS") == "" {
		processors.Spread()
	}
	tuneMemory()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(Main(ctx, world{os.Stdout, os.Stderr, os.Args[1:], os.Getenv}))
}

// Main is the program without its process: it returns the exit code.
func Main(ctx context.Context, w world) int {
	root := newRoot(w)
	root.cmd.SetArgs(w.args)
	return root.report(ctx, root.cmd.ExecuteContext(ctx))
}

// Memory that a build may take before garbage is collected, in bytes; beyond it, garbage may be a quarter of what lives.
const (
	roomy = 64 << 20
	slack = 16 << 20
)

// tuneMemory leaves garbage alone while the heap is small: most builds never need a collection. The limit follows what lives, so
// that a large one is not collected all the time.
func tuneMemory() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(roomy)
	followHeap()
}

// followHeap sets the limit anew after every collection.
func followHeap() {
	runtime.AddCleanup(new([64]byte), func(struct{}) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		debug.SetMemoryLimit(max(roomy, int64(live[0].Value.Uint64())*5/4+slack))
		followHeap()
	}, struct{}{})
}
