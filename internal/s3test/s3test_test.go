package s3test

import (
	"os/exec"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

// curl's signatures are accepted, and those with other keys are not.
func TestCurl(t *testing.T) {
	hosttest.Need(t, "curl")
	s := New(t)
	s.Put("bucket/a+b=c~d", []byte("content"))
	get := func(keys, region, name string) string {
		out, _ := exec.Command("curl", "-s", "--aws-sigv4", "aws:amz:"+region+":s3", "--user", keys, "-H", "x-amz-content-sha256: "+digest(""), "-w", " %{http_code}", s.URL+"/"+name).CombinedOutput()
		return string(out)
	}
	if got := get("access:secret", "us-east-1", "bucket/a%2Bb%3Dc~d"); got != "content 200" {
		t.Error(got)
	}
	for _, c := range [][2]string{{"access:other", "us-east-1"}, {"none:secret", "us-east-1"}, {"access:secret", "eu-west-1"}} {
		if got := get(c[0], c[1], "bucket/a%2Bb%3Dc~d"); got[len(got)-4:] != " 403" {
			t.Errorf("%s: %s", c, got)
		}
	}
}

// What curl uploads is stored if its hash is the one that was signed, and the server takes anything.
func TestCurlUploads(t *testing.T) {
	hosttest.Need(t, "curl")
	s := New(t)
	put := func(text, hash string) string {
		out, _ := exec.Command("curl", "-s", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", "access:secret", "-X", "PUT", "--data-binary", text,
			"-H", "x-amz-content-sha256: "+hash, "-w", " %{http_code}", s.URL+"/bucket/a").CombinedOutput()
		return string(out)
	}
	if got := put("text", digest("text")); got != " 200" || string(s.Get("bucket/a")) != "text" || len(s.Stored()) != 1 {
		t.Errorf("%s, %q", got, s.Get("bucket/a"))
	}
	got := put("other", digest("text"))
	s.ReadOnly = true
	if got += put("other", digest("other")); !strings.Contains(got, "XAmzContentSHA256Mismatch") || !strings.HasSuffix(got, " 403") || string(s.Get("bucket/a")) != "text" || len(s.Stored()) != 0 {
		t.Errorf("%s, %q", got, s.Get("bucket/a"))
	}
	s.Remove("bucket/a")
	if s.Get("bucket/a") != nil {
		t.Error("it is still there")
	}
}
