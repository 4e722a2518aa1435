package annex

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/hosttool"
)

func TestParseKey(t *testing.T) {
	digits := strings.Repeat("0f", 32)
	for text, size := range map[string]int64{
		"SHA256E-s12--" + digits + ".tar.gz": 12, "SHA256-s0--" + digits: 0, "SHA256E--" + digits: -1,
	} {
		k, err := ParseKey(text)
		sum, ok := k.SHA256()
		if err != nil || k.Size != size || !ok || hex.EncodeToString(sum[:]) != digits {
			t.Errorf("%s: %+v, %v", text, k, err)
		}
	}
	for _, text := range []string{"MD5E-s3--abc.bin", "WORM-s3-m1700000000--name", "URL--http&c%%example.org", "SHA256E-s3-S10-C2--" + digits[1:], "XBLAKE2B512-s3--12", "SHA256E-s1--zz"} {
		k, err := ParseKey(text)
		if _, ok := k.SHA256(); ok || err != nil {
			t.Errorf("%s: %+v, %v", text, k, err)
		}
	}
	for _, text := range []string{"", "name", "--x", "SHA256E-s1--", "sha256--x", "SHA256E-s-1--x", "SHA256E-sx--x", "SHA256E-q1--x", "SHA256E---x/y", "A--" + strings.Repeat("x", 300), "A--\n"} {
		if k, err := ParseKey(text); err == nil {
			t.Errorf("%q: %+v", text, k)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add("SHA256E-s12--" + strings.Repeat("0f", 32) + ".tar.gz")
	f.Add("/annex/objects/WORM-s3-m1700000000--name\n")
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		if k, err := ParseKey(text); err == nil && (k.Text != text || filepath.Base(text) != text || k.Size < -1) {
			t.Errorf("%q: %+v", text, k)
		}
		keyOfPointer(text)
		keyOfLink(text)
	})
}

// git runs git in a directory, as a user without a home.
func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	c := exec.Command("git", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "HOME="+t.TempDir(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

// repositories makes a repository with a file in the annex, and a clone that does not have its content.
func repositories(t *testing.T, content string) (origin, clone string) {
	t.Helper()
	hosttest.Need(t, "git", "git-annex")
	origin, clone = filepath.Join(t.TempDir(), "origin"), filepath.Join(t.TempDir(), "clone")
	t.Cleanup(func() { // contents are in directories without permission to write
		exec.Command("chmod", "-R", "u+w", origin, clone).Run()
	})
	if err := os.Mkdir(origin, 0o755); err != nil {
		t.Fatal(err)
	}
	git(t, origin, "init", "-q")
	git(t, origin, "annex", "init", "-q", "origin")
	if err := os.WriteFile(filepath.Join(origin, "firmware.bin"), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	git(t, origin, "annex", "add", "--quiet", "firmware.bin")
	git(t, origin, "commit", "-qm", "firmware")
	git(t, filepath.Dir(clone), "clone", "-q", origin, clone)
	git(t, clone, "annex", "init", "-q", "clone")
	return origin, clone
}

// A content is found by its path and by its key, and got when it is not there.
func TestRepository(t *testing.T) {
	const content = "the firmware\n"
	origin, clone := repositories(t, content)
	sum := sha256.Sum256([]byte(content))
	r := Repository{[]string{"HOME=" + t.TempDir()}}
	here, err := r.Find(t.Context(), filepath.Join(origin, "firmware.bin"))
	if got, ok := here.Key.SHA256(); err != nil || here.Path == "" || !ok || got != sum || here.Key.Size != int64(len(content)) {
		t.Fatalf("%+v, %v", here, err)
	}
	for _, name := range []string{"firmware.bin", here.Key.Text} {
		f, err := r.Find(t.Context(), filepath.Join(clone, name))
		if err != nil || f.Path != "" || f.Key != here.Key {
			t.Fatalf("%s: %+v, %v", name, f, err)
		}
		if f, err = r.Get(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(f.Path); string(text) != content || err != nil {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		if f, err := r.Find(t.Context(), filepath.Join(clone, name)); err != nil || f.Path == "" {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
		git(t, clone, "annex", "drop", "--quiet", "firmware.bin")
	}
	git(t, clone, "annex", "adjust", "--quiet", "--unlock") // files instead of symlinks
	f, err := r.Find(t.Context(), filepath.Join(clone, "firmware.bin"))
	if err != nil || f.Path != "" || f.Key != here.Key {
		t.Fatalf("unlocked: %+v, %v", f, err)
	}
	if f, err = r.Get(t.Context(), f); err != nil || f.Path == "" {
		t.Fatalf("unlocked: %+v, %v", f, err)
	}
}

// What is missing is said in a way that leads to it.
func TestRepositoryFails(t *testing.T) {
	origin, clone := repositories(t, "firmware")
	r := Repository{}
	if _, err := r.Find(t.Context(), filepath.Join(origin, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := r.Find(t.Context(), origin); err == nil {
		t.Error("a directory is a file")
	}
	if _, err := r.Find(t.Context(), filepath.Join(t.TempDir(), "SHA256E-s1--12")); err == nil || !strings.Contains(err.Error(), "in no repository") {
		t.Error(err)
	}
	if err := os.Rename(origin, origin+"2"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Rename(origin+"2", origin) })
	f, err := r.Find(t.Context(), filepath.Join(clone, "firmware.bin"))
	if err != nil {
		t.Fatal(err)
	}
	var exit *hosttool.ExitError
	if _, err := r.Get(t.Context(), f); !errors.As(err, &exit) {
		t.Error(err)
	}
}
