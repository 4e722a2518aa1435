package main

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"imprint/internal/s3test"
)

// A bucketWorld is a storeWorld with a bucket that its keys open.
type bucketWorld struct {
	storeWorld
	s           *s3test.Server
	url         string // of a cache in the bucket
	key, public string // file of a key, and a key
}

func newBucketWorld(t *testing.T) bucketWorld {
	w := bucketWorld{storeWorld: newStoreWorld(t), s: s3test.New(t)}
	t.Setenv("AWS_ACCESS_KEY_ID", "access")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	w.url = "s3://bucket/a?endpoint=" + w.s.URL
	w.key = filepath.Join(w.dir, "key")
	writeFile(t, w.key, w.store.Nix(t, "nix", "key", "generate-secret", "--key-name", "test-1"))
	w.public = w.store.Nix(t, "sh", "-c", "nix key convert-secret-to-public < "+w.key)
	return w
}

// refused runs imprint store, which has to fail with an exit code, and returns what it says.
func (w bucketWorld) refused(code int, args ...string) string {
	w.Helper()
	cmd := exec.Command("imprint", append([]string{"store"}, args...)...)
	cmd.Dir = w.dir
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != code {
		w.Errorf("imprint store %q: %v, exit code %d is expected\n%s", args, err, code, out)
	}
	return string(out)
}

// A closure that was copied to a bucket is the same when it is copied from there, by imprint and by Nix, and so is the image that is built from it.
// Nothing is sent twice, and errors that pass are in nobody's way.
func TestStoreBucket(t *testing.T) {
	w := newBucketWorld(t)
	var failures atomic.Int64
	w.s.Fail = func(r *http.Request) int {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/nar/") && failures.Add(1) <= 2 {
			return http.StatusServiceUnavailable
		}
		return 0
	}
	copying := []string{"copy", "--from", w.store.Root, "--to", w.url, "--sign-key", w.key, w.roots[0], w.roots[1]}
	w.run(copying...)
	all := len(w.store.Closure(t, w.roots...))
	if stored := w.s.Stored(); len(stored) != 1+2*all || failures.Load() != int64(all+2) {
		t.Errorf("%d items, %d failures, stored %q", all, failures.Load(), stored)
	}
	w.run(copying...)
	w.same("realise what is there", w.run("realise", w.url, "--trusted-public-key", w.public, w.roots[0]), w.roots[0]+"\n")
	if stored := w.s.Stored(); len(stored) != 0 {
		t.Errorf("stored again: %q", stored)
	}

	want := w.registration(w.store)
	w.run("copy", "--from", w.url, "--to", "copied", "--trusted-public-key", w.public, w.roots[0], w.roots[1])
	w.at("copied").Sound(t)
	w.same("registration after a copy from a bucket", w.registration(w.at("copied")), want)
	w.run("verify", "--trusted-public-key", w.public, w.url, w.roots[0], w.roots[1])
	if out := w.run("info", "--trusted-public-key", w.public, w.url); !strings.Contains(out, "kind    binary cache, Nix") {
		t.Errorf("info: %s", out)
	}
	w.s.Public = "bucket"
	w.at("nix").Nix(t, "nix", "copy", "--no-check-sigs", "--from", w.s.URL+"/bucket/a", w.roots[0])
	w.at("nix").Nix(t, "nix", "copy", "--no-check-sigs", "--from", w.s.URL+"/bucket/a", "--derivation", w.roots[1])
	w.same("registration after Nix's copy from a bucket", w.registration(w.at("nix")), want)

	image := w.image(fmt.Sprintf("path = %q", w.at("copied").Root), filepath.Join(w.dir, "keep"))
	got := w.image(fmt.Sprintf("url = %q\ntrusted-public-keys = [%q]", w.url, w.public), filepath.Join(w.dir, "keep-2"))
	if string(got) != string(image) {
		t.Error("a bucket gives another image than a store with the same signatures")
	}
}

// Keys that the bucket refuses end a copy with the server's reason and a hint, and nothing is stored.
func TestStoreBucketRefused(t *testing.T) {
	w := newBucketWorld(t)
	copying := []string{"copy", "--from", w.store.Root, "--to", w.url, w.roots[0]}
	for _, c := range []struct {
		id, secret string
		readOnly   bool
		want       string
	}{
		{"access", "other", false, "403 Forbidden (SignatureDoesNotMatch)\nhint: the secret key is a wrong one"},
		{"none", "secret", false, "403 Forbidden (InvalidAccessKeyId)\nhint: the server does not know this key"},
		{"", "", false, "403 Forbidden (AccessDenied)\nhint: there are no keys"},
		{"access", "secret", true, "403 Forbidden (AccessDenied)\nhint: do these keys have the right to write to the bucket?"},
	} {
		t.Setenv("AWS_ACCESS_KEY_ID", c.id)
		t.Setenv("AWS_SECRET_ACCESS_KEY", c.secret)
		t.Setenv("HOME", t.TempDir())
		w.s.ReadOnly = c.readOnly
		if out := w.refused(3, copying...); !strings.Contains(out, c.want) || !strings.HasPrefix(out, w.url+": ") {
			t.Errorf("%+v: %s", c, out)
		}
	}
	if names := w.s.Names(); len(names) != 0 {
		t.Errorf("stored %q", names)
	}
	w.refused(2, "realise", w.url, w.roots[0])
}
