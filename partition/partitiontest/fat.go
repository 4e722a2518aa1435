package partitiontest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/hosttool"
	"imprint/internal/tree"
)

// CheckFAT runs fsck.fat over the region: it must find nothing.
func CheckFAT(t testing.TB, r Region) {
	t.Helper()
	hosttest.Need(t, "fsck.fat")
	out, err := hosttool.Run(t.Context(), hosttool.Command{Name: "fsck.fat", Args: []string{"-n", r.alone(t)}, Merge: true})
	// It exits with 0 after some complaints, so it may print nothing but its version and the totals.
	for line := range strings.Lines(string(out.Output)) {
		if !fsckFATRoutine.MatchString(strings.TrimSpace(line)) {
			t.Fatalf("fsck.fat complains: %v\n%s", err, out.Output)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

var fsckFATRoutine = regexp.MustCompile(`^(fsck\.fat [0-9].*|.*: \d+ files, \d+/\d+ clusters)$`)

// FAT reads the region with the mtools. It reads no attributes, and has no entry for the root; hard links are copies in FAT.
func FAT(t testing.TB, r Region) Snapshot {
	t.Helper()
	hosttest.Need(t, "mdir", "mcopy", "mlabel")
	m := mtools{t, fmt.Sprintf("%s@@%d", r.File, r.Offset)}
	to := t.TempDir()
	s := Snapshot{Entries: map[string]Entry{}, Label: m.label(), Free: m.free()}
	if strings.TrimSpace(m.run("mdir", "-a", "-b", "::/")) != "" {
		m.run("mcopy", "-s", "-n", "::/*", to)
	}
	err := filepath.WalkDir(to, func(path string, f fs.DirEntry, err error) error {
		if err != nil || path == to {
			return err
		}
		e := Entry{Kind: tree.Dir}
		if !f.IsDir() {
			e, err = hostEntry(path)
		}
		s.Entries[strings.TrimPrefix(path, to)] = e
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func hostEntry(path string) (Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return Entry{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	return Entry{Kind: tree.File, Size: info.Size(), Content: digest(f)}, err
}

// mtools reads one volume.
type mtools struct {
	testing.TB
	image string
}

func (m mtools) run(tool string, args ...string) string {
	m.Helper()
	out, err := hosttool.Run(m.Context(), hosttool.Command{Name: tool, Args: append([]string{"-i", m.image}, args...), Limit: 1 << 26,
		Env: []string{"LC_ALL=C.UTF-8", "MTOOLS_SKIP_CHECK=1"}})
	if err != nil {
		m.Fatal(err)
	}
	return string(out.Output)
}

func (m mtools) label() string {
	_, label, ok := strings.Cut(m.run("mlabel", "-s", "::"), "Volume label is ")
	if !ok {
		return ""
	}
	label, _, _ = strings.Cut(label, "\n")
	label, _, _ = strings.Cut(label, " (abbr=")
	return strings.TrimRight(label, " ")
}

// free reads the last line of mdir, such as "1 457 664 bytes free".
func (m mtools) free() int64 {
	out := m.run("mdir", "-a", "::/")
	sum := freeLine.FindStringSubmatch(out)
	if sum == nil {
		m.Fatalf("mdir prints no free bytes:\n%s", out)
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(sum[1], " ", ""), 10, 64)
	if err != nil {
		m.Fatal(err)
	}
	return n
}

var freeLine = regexp.MustCompile(`([\d ]*\d) bytes free`)
