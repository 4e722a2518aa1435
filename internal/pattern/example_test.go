package pattern_test

import (
	"fmt"

	"imprint/internal/pattern"
)

// Covers also reports what lies below a match, Match only the match itself.
func Example() {
	set, err := pattern.Parse([]string{"*.pyc", "/var/cache/*", "/home/**/tmp/"})
	if err != nil {
		fmt.Println(err)
	}
	for _, path := range []string{"/usr/lib/a.pyc", "/var/cache", "/var/cache/apt/pkg", "/home/a/b/tmp"} {
		fmt.Println(path, set.Match(path, true), set.Covers(path, true))
	}
	// Output:
	// /usr/lib/a.pyc true true
	// /var/cache false false
	// /var/cache/apt/pkg false true
	// /home/a/b/tmp true true
}
