package language

import (
	"maps"
	"slices"
	"testing"
)

// Every key has one row, and what has a default or an example is a key.
func TestKeys(t *testing.T) {
	keys := Keys()
	if n := len(disk) + len(inputs) + len(boot) + len(partitions) + len(contents) + len(steps); len(keys) != n {
		t.Errorf("%d keys have %d rows", len(keys), n)
	}
	for _, key := range slices.Concat(slices.Collect(maps.Keys(defaults)), slices.Collect(maps.Keys(examples))) {
		if _, ok := keys[key]; !ok {
			t.Errorf("%s is no key", key)
		}
	}
	for _, key := range TakeInputs {
		if _, ok := keys[key]; !ok {
			t.Errorf("%s is no key", key)
		}
	}
}
