package tree

import "testing"

func TestShown(t *testing.T) {
	for path, want := range map[string]string{
		"/etc/motd": "/etc/motd", "/a b/Grüße": "/a b/Grüße", "/a\nb": `"/a\nb"`, "/\x1b[31m": `"/\x1b[31m"`, "/\xff": `"/\xff"`, "/\u202e": `"/\u202e"`,
		"\u0085": `"\u0085"`, "": "",
	} {
		if got := Shown(path); got != want {
			t.Errorf("%q is shown as %s, not %s", path, got, want)
		}
	}
}
