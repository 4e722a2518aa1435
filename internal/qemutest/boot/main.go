// Boot boots an image under QEMU and prints the lines of its serial console that begin with a prefix.
//
//	go run ./internal/qemutest/boot [-mode MODE] [-prefix TEXT] [-marker REGEX] IMAGE
//
// It exits with status 0 after the guest has printed the marker and switched the machine off.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"imprint/internal/qemutest"
)

func main() {
	mode := flag.String("mode", "uefi", strings.Join(qemutest.Modes(), ", "))
	prefix := flag.String("prefix", "imprint: ", "print only lines with this prefix")
	marker := flag.String("marker", "^imprint: ready$", "regular expression for the line that says the system came up")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: boot [-mode MODE] [-prefix TEXT] [-marker REGEX] IMAGE")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r, err := qemutest.Run(ctx, qemutest.Options{
		Image: flag.Arg(0), Mode: *mode, Marker: *marker, Bad: "^imprint: FAIL", PowerOff: true, Echo: filter(*prefix),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s booted and switched off in %.1f s\n", flag.Arg(0), r.Seconds)
}

// A filter writes lines that begin with a text to standard output.
type filter string

func (f filter) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), string(f)) {
		fmt.Print("  | ", string(p))
	}
	return len(p), nil
}
