package fstab

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

var table = []Entry{
	{"PARTUUID=3", "none", "swap", "sw", 0},
	{"PARTUUID=2", "/boot/efi", "vfat", "umask=0077", 2},
	{"PARTUUID=5", "/boot-1", "ext4", "", 2},
	{"PARTUUID=4", "/boot", "ext4", "", 2},
	{"PARTUUID=1", "/", "ext4", "errors=remount-ro", 1},
	{"PARTUUID=6", "/my data#1", "ext4", "", 2},
}

func TestText(t *testing.T) {
	want := `# <source> <mount point> <type> <options> <dump> <pass>
PARTUUID=1 / ext4 errors=remount-ro 0 1
PARTUUID=5 /boot-1 ext4 defaults 0 2
PARTUUID=4 /boot ext4 defaults 0 2
PARTUUID=2 /boot/efi vfat umask=0077 0 2
PARTUUID=6 /my\040data\0431 ext4 defaults 0 2
PARTUUID=3 none swap sw 0 0
`
	if got := Text(table); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// findmnt reads the table as it is meant.
func TestFindmnt(t *testing.T) {
	name := filepath.Join(t.TempDir(), "fstab")
	if err := os.WriteFile(name, []byte(Text(table)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(hosttest.Find(t, "findmnt"), "--fstab", "-F", name, "-n", "-r", "-o", "SOURCE,TARGET,FSTYPE,OPTIONS").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"PARTUUID=2 /boot/efi vfat umask=0077", `PARTUUID=6 /my\x20data#1 ext4`, "PARTUUID=3 none swap sw"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s\nlacks %s", out, want)
		}
	}
}

func TestIsEmpty(t *testing.T) {
	for text, want := range map[string]bool{"": true, "# UNCONFIGURED FSTAB FOR BASE SYSTEM\n": true, " \n\t# x\n": true, "#\n/dev/sda1 / ext4 defaults 0 1\n": false} {
		if IsEmpty(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
	if IsEmpty(Text(table)) {
		t.Error("a table with entries is empty")
	}
}

func FuzzText(f *testing.F) {
	f.Add("PARTUUID=1", "/a b", "ext4")
	hosttest.Fuzz(f, func(t *testing.T, source, target, kind string) {
		text := Text([]Entry{{source, target, kind, "", 0}})
		if lines := strings.Split(text, "\n"); len(lines) != 3 {
			t.Errorf("%d lines: %q", len(lines)-1, text)
		}
	})
}
