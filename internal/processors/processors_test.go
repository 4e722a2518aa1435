package processors

import (
	"runtime"
	"testing"
)

func TestSpread(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { count.Store(0); runtime.GOMAXPROCS(before) })
	if Spread(); runtime.GOMAXPROCS(0) < before+spare || Count() != before {
		t.Errorf("spread: %d places, %d processors, there were %d", runtime.GOMAXPROCS(0), Count(), before)
	}
}
