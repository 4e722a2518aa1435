package output

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// begin starts an output with a content.
func begin(t *testing.T, path, content string) *Output {
	t.Helper()
	o, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Discard)
	if _, err := o.File.WriteString(content); err != nil {
		t.Fatal(err)
	}
	return o
}

// holds fails unless a directory holds exactly these files, name to content, hidden ones included.
func holds(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			content = []byte(err.Error())
		}
		got[e.Name()] = string(content)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s holds %v, not %v", dir, got, want)
	}
}

func put(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// everywhere runs a test with files that have no name, and with files that have one from the beginning, as where there is no /proc.
func everywhere(t *testing.T, test func(t *testing.T)) {
	t.Run("unnamed", test)
	t.Run("named", func(t *testing.T) {
		procDir = t.TempDir()
		defer func() { procDir = "/proc" }()
		test(t)
	})
}

func TestCommit(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "image")
		for _, content := range []string{"first", "second"} {
			o, index := begin(t, path, content), begin(t, path+".json", "of "+content)
			if err := Commit(t.Context(), false, Group{Files: []*Output{o}, Index: index}); err != nil {
				t.Fatal(err)
			}
			o.Discard()
			index.Discard()
			holds(t, dir, map[string]string{"image": content, "image.json": "of " + content})
		}
		put(t, path+".mine", "mine", 0o644)
		isOurs := func(path string) (bool, error) { return strings.HasSuffix(path, ".json"), nil }
		o := begin(t, path, "third")
		if err := Commit(t.Context(), true, Group{Files: []*Output{o}, Stale: []string{path + ".json", path + ".none", path + ".mine"}, IsIndex: isOurs}); err != nil {
			t.Fatal(err)
		}
		o.Discard()
		holds(t, dir, map[string]string{"image": "third", "image.mine": "mine"})
		begin(t, path, "never").Discard()
		holds(t, dir, map[string]string{"image": "third", "image.mine": "mine"})
		unreadable := func(string) (bool, error) { return false, unix.EIO } // nobody knows whether it describes the older file
		o = begin(t, path, "fourth")
		if err := Commit(t.Context(), true, Group{Files: []*Output{o}, Stale: []string{path + ".mine"}, IsIndex: unreadable}); !errors.Is(err, unix.EIO) {
			t.Errorf("error %v", err)
		}
		o.Discard()
		holds(t, dir, map[string]string{"image": "third", "image.mine": "mine"})
	})
}

// What cannot be written to the disk gets no name, whichever output it is.
func TestCommitReportsSync(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		for broken := range 3 {
			dir := t.TempDir()
			outs := []*Output{begin(t, dir+"/a", "new"), begin(t, dir+"/b", "new"), begin(t, dir+"/c", "new")}
			put(t, dir+"/a", "old", 0o644)
			put(t, dir+"/c", "old", 0o644)
			outs[broken].File.Close()
			if err := Commit(t.Context(), false, Group{Files: outs[:2], Index: outs[2]}); err == nil {
				t.Errorf("output %d: no error", broken)
			}
			for _, o := range outs {
				o.Discard()
			}
			holds(t, dir, map[string]string{"a": "old", "c": "old"})
		}
	})
}

// When one name cannot be given, the others go back to what they were.
func TestCommitIsUndone(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		dir := t.TempDir()
		outs := []*Output{begin(t, dir+"/a", "new"), begin(t, dir+"/b", "new"), begin(t, dir+"/c", "new"), begin(t, dir+"/a.json", "new")}
		put(t, dir+"/a", "old", 0o644)
		put(t, dir+"/a.json", "old", 0o644)
		if err := os.Mkdir(dir+"/c", 0o755); err != nil {
			t.Fatal(err)
		}
		put(t, dir+"/c/mine", "precious", 0o600)
		err := Commit(t.Context(), false, Group{Files: outs[:3], Index: outs[3]})
		if err == nil || !strings.Contains(err.Error(), "/c: it now exists and is not a regular file") {
			t.Errorf("error %v", err)
		}
		for _, o := range outs {
			o.Discard()
		}
		holds(t, dir, map[string]string{"a": "old", "a.json": "old", "c": "read " + dir + "/c: is a directory"})
		holds(t, dir+"/c", map[string]string{"mine": "precious"})
	})
}

// Of many builds that name the same files at once, one's image and manifest remain.
func TestCommitsAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		dir := t.TempDir()
		var all sync.WaitGroup
		for i := range 40 {
			o, index := begin(t, dir+"/image", fmt.Sprint(i)), begin(t, dir+"/image.json", fmt.Sprint(i))
			all.Go(func() {
				if err := Commit(context.Background(), true, Group{Files: []*Output{o}, Index: index}); err != nil {
					t.Error(err)
				}
				o.Discard()
				index.Discard()
			})
		}
		// A reader that finds the same manifest before and after it has opened the image has the image of that manifest.
		for range 200 {
			before, errA := os.ReadFile(dir + "/image.json")
			image, errB := os.ReadFile(dir + "/image")
			after, errC := os.ReadFile(dir + "/image.json")
			if errA == nil && errB == nil && errC == nil && string(before) == string(after) && string(image) != string(before) {
				t.Errorf("image %s with manifest %s", image, before)
			}
		}
		all.Wait()
		image, _ := os.ReadFile(dir + "/image")
		holds(t, dir, map[string]string{"image": string(image), "image.json": string(image)})
	})
}

// A new file has the owner and the permissions of the one that it replaces.
func TestModeIsKept(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		dir := t.TempDir()
		put(t, dir+"/image", "old", 0o600)
		root := os.Geteuid() == 0
		if root {
			if err := os.Chown(dir+"/image", 1234, 2345); err != nil {
				t.Fatal(err)
			}
		}
		o := begin(t, dir+"/image", "new")
		if err := Commit(t.Context(), true, Group{Files: []*Output{o}}); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Stat(dir+"/image", &st); err != nil {
			t.Fatal(err)
		}
		if st.Mode&0o7777 != 0o600 || root && (st.Uid != 1234 || st.Gid != 2345) {
			t.Errorf("mode %o, owner %d:%d", st.Mode, st.Uid, st.Gid)
		}
	})
}

func TestPlace(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"a", "b", "b/c"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put(t, dir+"/file", "", 0o644)
	if err := unix.Mkfifo(dir+"/pipe", 0o644); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"link": "file", "a/up": "../file", "dangling": "a/new", "absolute": dir + "/link", "d": "b/c", "loop": "loop", "through": "d/../new", "lost": "none/new",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	for path, want := range map[string]string{
		"new": "new", "file": "file", "link": "file", "a/up": "file", "dangling": "a/new", "absolute": "file",
		"d/../new": "b/new", "through": "b/new", // ".." of a link to a directory is above its target
		"": "", ".": "", "a": "", "a/": "", "d": "", "a/..": "", "pipe": "", "loop": "", "lost": "", "none/new": "", "file/new": "",
		strings.Repeat("x", 255): strings.Repeat("x", 255), strings.Repeat("x", 256): "",
		"/dev/null": "", "/proc/self/fd/0": "", "/dev/fd/1": "",
	} {
		got, err := Place(path)
		if want != "" {
			want = filepath.Join(dir, want)
		}
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, not %q: %v", path, got, want, err)
		}
	}
}

func TestSame(t *testing.T) {
	dir := t.TempDir()
	a, link, other, gone := filepath.Join(dir, "a"), filepath.Join(dir, "link"), filepath.Join(dir, "other"), filepath.Join(dir, "gone")
	for _, name := range []string{a, other} {
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a", link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		with string
		want bool
	}{{a, true}, {link, true}, {dir + "/./a", true}, {other, false}, {gone, false}} {
		if got := Same(a, c.with); got != c.want {
			t.Errorf("Same(%s, %s) = %t", a, c.with, got)
		}
	}
	if Same(gone, gone) {
		t.Error("a file that does not exist is the same as another one")
	}
}

// What another user has put into a directory like /tmp is neither followed nor replaced.
func TestPlaceInSharedDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make files of another user")
	}
	shared := t.TempDir()
	if err := os.Chmod(shared, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "precious")
	put(t, target, "mine", 0o600)
	for _, name := range []string{"ours", "theirs"} {
		if err := os.Symlink(target, filepath.Join(shared, name)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, shared+"/file", "theirs", 0o666)
	for _, name := range []string{"theirs", "file"} {
		if err := os.Lchown(filepath.Join(shared, name), 1234, 1234); err != nil {
			t.Fatal(err)
		}
	}
	for name, allowed := range map[string]bool{"ours": true, "theirs": false, "file": false, "new": true} {
		if _, err := Place(filepath.Join(shared, name)); (err == nil) != allowed || !allowed && !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Chmod(shared, 0o777); err != nil { // without the sticky bit they could replace ours, too
		t.Fatal(err)
	}
	if _, err := Place(shared + "/theirs"); err != nil {
		t.Error(err)
	}
}
