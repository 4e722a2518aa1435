package bootloader

import "testing"

// Words that all entries have come before "--", after which the kernel passes everything to init.
func TestInMemory(t *testing.T) {
	for line, want := range map[string]string{
		"": "rdinit=/sbin/init",
		"quiet root=LABEL=x init=/i systemd.volatile=overlay imprint.image=/a ro": "quiet ro rdinit=/i",
		"a -- init=x  y": "a rdinit=/sbin/init -- init=x  y",
	} {
		if got := InMemory(line); got != want {
			t.Errorf("%q becomes %q", line, got)
		}
	}
}

func TestConsoleBeforeInit(t *testing.T) {
	for text, want := range map[string]string{
		"":                  "console=ttyS0",
		" quiet  a=b ":      "quiet  a=b console=ttyS0",
		"a -- single":       "a console=ttyS0 -- single",
		"-- single -- x":    "console=ttyS0 -- single -- x",
		"a --":              "a console=ttyS0 --",
		"a--b --c d-- x":    "a--b --c d-- x console=ttyS0",
		"--":                "console=ttyS0 --",
		"$x --  two":        "$x console=ttyS0 --  two",
		"panic=-1 quiet --": "panic=-1 quiet console=ttyS0 --",
	} {
		if got := Cmdline(text, []string{"ttyS0"}, nil); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
