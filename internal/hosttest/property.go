package hosttest

import (
	"flag"
	"os"
	"sync"

	"pgregory.net/rapid"
)

// Check is rapid.Check with inputs that are the same in every run, so that a test fails for a change and not by chance. With IMPRINT_RANDOM set,
// or another -rapid.seed, the inputs are others; testdata/fuzz looks for faults in that way.
func Check(t rapid.TB, property func(*rapid.T)) {
	t.Helper()
	seed()
	rapid.Check(t, property)
}

var seed = sync.OnceFunc(func() {
	if f := flag.Lookup("rapid.seed"); f.Value.String() == "0" && os.Getenv("IMPRINT_RANDOM") == "" {
		if err := f.Value.Set("1"); err != nil {
			panic(err)
		}
	}
})
