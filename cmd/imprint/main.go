// Command imprint turns a software closure into a bootable disk image.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
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

// tuneMemory lets the heap grow to a size where collecting pays before the first collection: a build's live data is small, and most
// of what it allocates is gone when it ends.
func tuneMemory() {
	debug.SetGCPercent(200)
	debug.SetMemoryLimit(120 << 20)
}
