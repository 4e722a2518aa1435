package sigv4

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

var day2013 = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

// The examples are those of Amazon ("Signature Calculations for the Authorization Header", API reference of S3).
func TestExamples(t *testing.T) {
	keys := Keys{ID: "AKIAIOSFODNN7EXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
	for query, want := range map[string]string{
		"lifecycle":           "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
		"prefix=J&max-keys=2": "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
	} {
		u := &url.URL{Scheme: "https", Host: "examplebucket.s3.amazonaws.com", RawQuery: query}
		h := keys.Headers(Request{"GET", u, Empty, "us-east-1", "s3", day2013, nil})
		if got := h["Authorization"]; got != "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "+
			"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature="+want {
			t.Errorf("%s: %s", query, got)
		}
		if h["X-Amz-Date"] != "20130524T000000Z" || h["X-Amz-Content-Sha256"] != Empty {
			t.Errorf("%q", h)
		}
	}
}

// So is the one of an upload, with a body, further headers and a path that is escaped.
func TestUpload(t *testing.T) {
	keys := Keys{ID: "AKIAIOSFODNN7EXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
	h := keys.Headers(Request{
		Method: "PUT", URL: &url.URL{Host: "examplebucket.s3.amazonaws.com", Path: "/test$file.text"}, Region: "us-east-1", Service: "s3", Time: day2013,
		Payload: fmt.Sprintf("%x", sha256.Sum256([]byte("Welcome to Amazon S3."))),
		Header:  map[string]string{"Date": "Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Storage-Class": "REDUCED_REDUNDANCY"},
	})
	want := "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
	if got := h["Authorization"]; !strings.HasSuffix(got, want) || h["Date"] == "" {
		t.Errorf("%q", h)
	}
}

func TestToken(t *testing.T) {
	u := &url.URL{Host: "h", Path: "/a b+c/ü~"}
	h := Keys{"a", "b", "token"}.Headers(Request{Method: "GET", URL: u, Payload: Empty})
	if h["X-Amz-Security-Token"] != "token" || !strings.Contains(h["Authorization"], ";x-amz-security-token,") {
		t.Errorf("%q", h)
	}
	if got := Escape(u.Path); got != "/a%20b%2Bc/%C3%BC~" || Escape("") != "/" {
		t.Error(got)
	}
}
