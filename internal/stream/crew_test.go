package stream

import (
	"strings"
	"testing"
	"time"
)

// The crew grows while a cold disk leaves the processors idle, and shrinks once nothing came from a disk for a while.
func TestCrew(t *testing.T) {
	const idle, busy = pause / 2, 2 * pause
	cold, coldBusy := used{idle, coldBlocks}, used{busy, coldBlocks}
	warm, warmIdle := used{busy, 0}, used{idle, coldBlocks - 1}
	type step struct {
		pauses int
		u      used
		left   int
		want   int // workers afterwards
	}
	for name, steps := range map[string][]step{
		"warm":                         {{100, warm, 1000, 2}},
		"idle, but not for a disk":     {{100, warmIdle, 1000, 2}},
		"cold":                         {{1, cold, 1000, 3}, {5, cold, 1000, 8}, {100, cold, 1000, Most}},
		"cold, but busy":               {{100, coldBusy, 1000, 2}},
		"cold with no jobs left":       {{2, cold, 1000, 4}, {10, cold, 0, 4}},
		"warm again":                   {{3, cold, 1000, 5}, {warmPauses, warm, 1000, 5}, {1, warm, 1000, 4}, {2, warm, 1000, 2}, {50, warm, 1000, 2}},
		"warm again with no jobs left": {{3, cold, 1000, 5}, {100, warmIdle, 0, 2}},
		"a pause in the reading":       {{3, cold, 1000, 5}, {warmPauses, warm, 1000, 5}, {1, coldBusy, 1000, 5}, {warmPauses, warm, 1000, 5}},
		"distant":                      {{1, warmIdle, 1000, 3}, {100, warm, 1000, 3}, {100, warmIdle, 1000, Most}, {100, warmIdle, 0, Most}},
		"cold a second time":           {{3, cold, 1000, 5}, {100, warm, 1000, 2}, {4, cold, 1000, 6}},
	} {
		c := crew{processors: 2, workers: 2, distant: strings.HasPrefix(name, "distant")}
		for i, s := range steps {
			for range s.pauses {
				c = c.after(s.u, s.left)
			}
			if c.workers != s.want {
				t.Errorf("%s, step %d: %d workers, want %d", name, i, c.workers, s.want)
			}
		}
	}
}

// A machine with more processors than Most keeps a worker for each.
func TestLargeCrew(t *testing.T) {
	c := crew{processors: 64, workers: 64}
	for _, u := range []used{{0, coldBlocks}, {64 * pause, 0}} {
		for range 3 * warmPauses {
			c = c.after(u, 1000)
		}
		if c.workers != 64 {
			t.Errorf("%d workers", c.workers)
		}
	}
}

func TestUsageGrows(t *testing.T) {
	before, sum := usage(), byte(0)
	for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
		for i := range zeroes {
			sum += zeroes[i]
		}
	}
	if now := usage(); now.cpu <= before.cpu || sum != 0 {
		t.Errorf("%v of processor time, then %v", before.cpu, now.cpu)
	}
}
