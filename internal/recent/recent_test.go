package recent

import (
	"errors"
	"slices"
	"sync"
	"testing"
)

func TestCache(t *testing.T) {
	c := New[string, int](10)
	var made []string
	get := func(key string, size int64) {
		t.Helper()
		v, err := c.Get(key, size, func() (int, error) { made = append(made, key); return len(made), nil })
		if err != nil || v == 0 {
			t.Errorf("%s: %d, %v", key, v, err)
		}
	}
	for _, step := range []struct {
		key  string
		size int64
		want []string // that were made, up to here
	}{
		{"a", 5, []string{"a"}},
		{"b", 5, []string{"a", "b"}},
		{"a", 5, []string{"a", "b"}},
		{"c", 5, []string{"a", "b", "c"}}, // which takes the place of b
		{"a", 5, []string{"a", "b", "c"}},
		{"b", 5, []string{"a", "b", "c", "b"}}, // and of c
		{"a", 5, []string{"a", "b", "c", "b"}},
		{"large", 20, []string{"a", "b", "c", "b", "large"}}, // and of all
		{"large", 20, []string{"a", "b", "c", "b", "large"}},
		{"a", 5, []string{"a", "b", "c", "b", "large", "a"}},
	} {
		get(step.key, step.size)
		if !slices.Equal(made, step.want) {
			t.Fatalf("after %s: made %v, want %v", step.key, made, step.want)
		}
	}
	if c.bytes != 5 || len(c.entries) != 1 {
		t.Errorf("%d bytes in %d entries", c.bytes, len(c.entries))
	}
}

// An error is kept, and nobody makes a value twice.
func TestAtOnce(t *testing.T) {
	c, broken := New[int, int](1), errors.New("broken")
	var group sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for range 50 {
		group.Go(func() {
			_, err := c.Get(7, 1, func() (int, error) {
				mu.Lock()
				defer mu.Unlock()
				made++
				return 0, broken
			})
			if !errors.Is(err, broken) {
				t.Errorf("got %v", err)
			}
		})
	}
	group.Wait()
	if made != 1 {
		t.Errorf("made %d times", made)
	}
}
