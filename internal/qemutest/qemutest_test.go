package qemutest

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imprint/internal/hosttest"
)

func TestConsole(t *testing.T) {
	for _, c := range []struct{ name, input, marked, failed string }{
		{"line", "one\r\nready\r\n", "ready", ""},
		{"painted", "\x1b[2J\x1b[01;01Hready\r\n", "ready", ""},
		{"prompt without a newline", "host ready", "", ""},
		{"panic", "[    1.0] Kernel panic - not syncing\nready\n", "ready", "[    1.0] Kernel panic - not syncing"},
		{"own bad mark", "oops\n", "", "oops"},
		{"nothing", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			con, err := newConsole(Options{Marker: "^ready", Bad: "oops"})
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range []byte(c.input) { // as from a slow serial line
				if _, err := con.Write([]byte{b}); err != nil {
					t.Fatal(err)
				}
			}
			if con.marked != c.marked || con.failed != c.failed {
				t.Errorf("marker %q, bad %q", con.marked, con.failed)
			}
			if strings.ContainsAny(con.text(), "\r\x1b") {
				t.Errorf("text %q", con.text())
			}
		})
	}
}

func TestConsoleSeesAPrompt(t *testing.T) {
	con, err := newConsole(Options{Marker: "login: $"})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(con, "hello login: ")
	if con.marked != "hello login: " {
		t.Errorf("marker %q", con.marked)
	}
}

// An empty disk does not boot: Run fails at the timeout, and the error shows the console.
func TestRunEndsInTime(t *testing.T) {
	hosttest.Need(t, pc.program)
	image := filepath.Join(t.TempDir(), "empty.raw")
	if err := os.WriteFile(image, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx     context.Context
		options Options
		want    string
	}{
		{t.Context(), Options{Image: image, Mode: "bios", Timeout: time.Second}, "still running after 1s"},
		{stopped, Options{Image: image, Mode: "bios"}, "context canceled"},
		{t.Context(), Options{Image: image, Mode: "floppy"}, "bios-cd"},
		{t.Context(), Options{Image: image + ".gone", Mode: "bios"}, "empty.raw.gone"},
	} {
		start := time.Now()
		c.options.Marker = "never"
		if _, err := Run(c.ctx, c.options); err == nil || !strings.Contains(err.Error(), c.want) || time.Since(start) > 20*time.Second {
			t.Errorf("%v after %v, not %q", err, time.Since(start), c.want)
		}
	}
}
