package diag

import "testing"

func TestListSortsAndTellsAll(t *testing.T) {
	l := List{
		{Position{"web.toml", 14, 8}, "partition[1].size", "512 MiB is smaller than its content (743 MiB)", "use size = \"auto\""},
		{Position{"web.toml", 2, 1}, "nmae", "unknown key", "did you mean \"name\"?"},
		{Position{"web.toml", 2, 1}, "nmae", "unknown key", "did you mean \"name\"?"},
		{Position{File: "web.toml"}, "", "is empty", ""},
	}
	want := `web.toml: is empty
web.toml:2:1: nmae: unknown key
hint: did you mean "name"?
web.toml:14:8: partition[1].size: 512 MiB is smaller than its content (743 MiB)
hint: use size = "auto"`
	if got := l.Err().Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := (List{}).Err(); err != nil {
		t.Errorf("an empty list is %v", err)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"name", "arch", "format", "partition", "closure", "size"}
	for word, want := range map[string]string{"nmae": "name", "sizee": "size", "Partitions": "partition", "format": "format", "zzz": "", "x": ""} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q; want %q", word, got, want)
		}
	}
}
