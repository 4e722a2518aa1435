package compressed

import (
	"bytes"
	"compress/gzip"
	"os/exec"
	"strings"
	"testing"
)

// The output of each program is recognised, and the command that unpacks it restores the content.
func TestBy(t *testing.T) {
	const content = "content"
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write([]byte(content))
	w.Close()
	if got := By(packed.Bytes()); got != "gzip" {
		t.Errorf("gzip is taken for %q", got)
	}
	for _, f := range formats {
		program, err := exec.LookPath(f.name)
		if err != nil || f.name == "compress" {
			continue
		}
		c := exec.Command(program, "-c")
		if strings.HasPrefix(f.magic, "\x02") {
			c.Args = append(c.Args, "-l")
		}
		c.Stdin = strings.NewReader(content)
		out, err := c.Output()
		if err != nil || By(out) != f.name {
			t.Errorf("%s: %q, %v", f.name, By(out), err)
			continue
		}
		back := exec.Command("sh", "-c", Unpack(f.name))
		back.Stdin = bytes.NewReader(out)
		if text, err := back.Output(); err != nil || string(text) != content {
			t.Errorf("%s: %q, %v", Unpack(f.name), text, err)
		}
	}
	for _, plain := range []string{"", "\x1f", "BZh9", "BZh files\n", "MZ", "LZIP", "\x00\x00\x00\x00"} {
		if got := By([]byte(plain)); got != "" {
			t.Errorf("%q is taken for %s", plain, got)
		}
	}
	if Unpack("MZ") != "" {
		t.Error("there is a command for what is not known")
	}
}

// Every magic number is recognised without further bytes, but not if a byte of it is missing.
func TestByMagic(t *testing.T) {
	for _, f := range formats {
		head := strings.ReplaceAll(f.magic, "?", "9")
		if By([]byte(head)) != f.name || By([]byte(head[:len(head)-1])) != "" || len(head) > Head {
			t.Errorf("%s: %q", f.name, head)
		}
	}
}
