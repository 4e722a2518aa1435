package partitiontest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"imprint/internal/tree"
)

// lastTime is the last second that e2fsck takes for one: later ones it thinks to be times before 1970, written wrongly by old kernels.
const lastTime = 1<<33 + 1<<31 - 1

// seconds are the first and the last second that a file can have as its time.
func (e Engine) seconds() (first, last int64) {
	if e.Seconds == [2]int64{} {
		return -1 << 31, lastTime
	}
	return e.Seconds[0], e.Seconds[1]
}

// testTimes makes the times that the engine takes, for files and for directories, and checks that it refuses the others.
func testTimes(t *testing.T, e Engine) {
	first, last := e.seconds()
	times := []tree.Time{
		{Sec: 0}, {Sec: 1}, {Sec: -1}, {Sec: -1, Nsec: 999_999_999}, {Sec: -1 << 31}, {Sec: 1<<31 - 1, Nsec: 1}, {Sec: 1 << 31}, {Sec: 1<<32 - 1},
		{Sec: 1 << 32}, {Sec: first}, {Sec: last, Nsec: 999_999_999}, {Sec: 1_700_000_000, Nsec: 123_456_789},
	}
	if first > math.MinInt64 {
		times = append(times, tree.Time{Sec: first - 1}, tree.Time{Sec: last + 1})
	}
	all := newGrove(t)
	for i, at := range times {
		if slices.Contains(e.Unread, at.Sec) {
			continue
		}
		a := &tree.Attr{Mode: 0o644, Mtime: at}
		g := newGrove(t)
		if slices.Contains(e.Drops, Times) || at.Sec >= first && at.Sec <= last {
			g = all
		}
		g.add(fmt.Sprintf("/d%d", i), tree.NewDir("", a, nil))
		g.add(fmt.Sprintf("/%d", i), tree.NewFile("", a, tree.Text("x")))
		if g != all {
			e.expectRefusal(t, g.tree(), fmt.Sprintf("/%d", i))
		}
	}
	e.roundTrip(t, all.tree(), defaults)
}
