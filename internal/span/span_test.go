package span

import (
	"slices"
	"testing"
)

func TestMap(t *testing.T) {
	var m Map[string]
	m.Add(10, 5, "b")
	m.Add(0, 4, "a")
	m.Add(12, 20, "c")
	m.Add(7, 0, "empty")
	m.Add(20, 3, "d")
	m.Sort()
	for off, want := range map[int64]string{0: "a", 3: "a", 4: "", 9: "", 10: "b", 11: "b", 12: "c", 19: "c", 20: "d", 40: ""} {
		if got, _ := m.At(off); got.What != want {
			t.Errorf("byte %d is of %q, not %q", off, got.What, want)
		}
	}
	var got []string
	for a, b := range m.Overlaps() {
		got = append(got, a.What+b.What)
	}
	if !slices.Equal(got, []string{"bc", "cd"}) {
		t.Errorf("overlaps %v", got)
	}
}

func TestFields(t *testing.T) {
	type head struct {
		Magic [3]byte
		Count uint16
	}
	type tail struct{ Sum uint32 }
	for _, m := range []Map[string]{Fields(head{}, &tail{}), Row(Field{3, "Magic"}, Field{2, "Count"}, Field{4, "Sum"})} {
		for off, want := range []string{"Magic", "Magic", "Magic", "Count", "Count", "Sum", "Sum", "Sum", "Sum", ""} {
			if got, _ := m.At(int64(off)); got.What != want {
				t.Errorf("byte %d is in %q, not in %q", off, got.What, want)
			}
		}
		if Offset(m, "Sum") != 5 {
			t.Error("Sum is elsewhere")
		}
	}
}
