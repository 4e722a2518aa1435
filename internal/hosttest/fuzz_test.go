package hosttest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Only the target's own processor time counts, not waiting.
func TestFastest(t *testing.T) {
	if d := fastest(func() { time.Sleep(20 * time.Millisecond) }); d > slowest {
		t.Errorf("a call that sleeps takes %v", d)
	}
	calls := 0
	d := fastest(func() {
		calls++
		for start := threadTime(); threadTime()-start < 2*slowest; {
		}
	})
	if d < 2*slowest || calls != runs {
		t.Errorf("%d calls that work for %v take %v", calls, 2*slowest, d)
	}
}

const slowTarget = "HOSTTEST_SLOW_TARGET"

// FuzzSlow is too slow when the test below asks for it.
func FuzzSlow(f *testing.F) {
	f.Add([]byte("seed"))
	Fuzz(f, func(t *testing.T, _ []byte) {
		for start := threadTime(); os.Getenv(slowTarget) != "" && threadTime()-start < 2*slowest; {
		}
	})
}

// A target that is too slow fails on its seeds.
func TestSlowTarget(t *testing.T) {
	c := exec.Command(os.Args[0], "-test.run=^FuzzSlow$")
	c.Env = append(os.Environ(), slowTarget+"=1")
	out, err := c.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "less than 200 executions in a second") {
		t.Errorf("%v\n%s", err, out)
	}
}
