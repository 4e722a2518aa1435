package hosttest

import (
	"testing"
	"time"
)

// What a target spends is its own: waiting costs nothing, working does.
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
