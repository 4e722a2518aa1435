package hosttest

import (
	"testing"
	"time"
)

// Quick fails the test if a call of the body of a fuzz target takes a millisecond or more on average: one that does not run thousands of
// times a second finds nothing. The body gets a small input, such as a seed.
func Quick(t testing.TB, body func()) {
	t.Helper()
	const calls, most = 200, time.Millisecond
	start := time.Now()
	for range calls {
		body()
	}
	if each := time.Since(start) / calls; each >= most {
		t.Errorf("a call takes %v, which is %d a second", each, time.Second/each)
	}
}
