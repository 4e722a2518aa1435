package s3test

import (
	"os/exec"
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
