package remote

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"imprint/internal/awskeys"
	"imprint/internal/sigv4"
)

// defaultRegion is the one of Nix and of most other tools.
const defaultRegion = "us-east-1"

// newBucket returns the server for a bucket. Its requests are signed if the account has keys.
func newBucket(u *url.URL, o Options) (*server, error) {
	b, err := parseBucket(u)
	if err != nil {
		return nil, err
	}
	var account awskeys.Account
	if o.Account != nil {
		if account, err = o.Account(b.profile); err != nil {
			return nil, fmt.Errorf("no keys: %w", err)
		}
	}
	region := cmp.Or(b.region, account.Region, defaultRegion)
	s := newServer(b.base(region), o)
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // a signature is for one host
	s.refused = func(answer *http.Response) error { return refusal(answer, account.ID != "", region) }
	s.sign = func(r *http.Request) {
		r.URL.RawPath = sigv4.Escape(r.URL.Path)
		if account.ID == "" || o.Now == nil {
			return
		}
		for name, value := range account.Headers(sigv4.Request{
			Method: r.Method, URL: r.URL, Payload: cmp.Or(r.Header.Get(payloadHeader), sigv4.Empty), Region: region, Service: "s3", Time: o.Now(), Header: ofContent(r),
		}) {
			r.Header.Set(name, value)
		}
	}
	return s, nil
}

// payloadHeader is the header with the SHA-256 of what a request sends.
const payloadHeader = "X-Amz-Content-Sha256"

// ofContent returns the headers about what a request sends, which are signed.
func ofContent(r *http.Request) map[string]string {
	if kind := r.Header.Get("Content-Type"); kind != "" {
		return map[string]string{"Content-Type": kind}
	}
	return nil
}

// A RefusedError reports that a bucket refuses every request: there are wrong keys, none, or others than those of the bucket.
type RefusedError struct{ Text, Hint string }

// Error implements error.
func (e *RefusedError) Error() string { return e.Text }

// Hint returns what the user may do about an error of a bucket; it may be empty.
func Hint(err error) string {
	var refused *RefusedError
	var status *StatusError
	switch {
	case errors.As(err, &refused):
		return refused.Hint
	case errors.As(err, &status):
		return status.Hint
	}
	return ""
}

// hints belong to the codes of errors that concern keys, not the one file that was asked for.
var hints = map[string]string{
	"InvalidAccessKeyId":           "the server does not know this key: is it for another server, or endpoint missing in the URL?",
	"SignatureDoesNotMatch":        "the secret key is a wrong one for this access key",
	"ExpiredToken":                 "ask for new keys",
	"InvalidToken":                 "ask for new keys",
	"RequestTimeTooSkewed":         "set the clock of this machine",
	"NoSuchBucket":                 "is the name of the bucket misspelled, or endpoint missing in the URL?",
	"AuthorizationHeaderMalformed": "the bucket may be in another region: add region=… to the URL",
}

// refusal returns the error for an answer without the file. Without the right to list a bucket, files that it lacks are "forbidden".
func refusal(answer *http.Response, signed bool, region string) error {
	status := &StatusError{Code: answer.StatusCode, Reason: reasonIn(answer.Body)}
	there := answer.Header.Get("X-Amz-Bucket-Region")
	switch hint, ok := hints[status.Reason]; {
	case there != region && word.MatchString(there) && (answer.StatusCode/100 == 3 || answer.StatusCode == http.StatusBadRequest):
		return &RefusedError{fmt.Sprintf("the bucket is in the region %s, not %s", there, region), "add region=" + there + " to the URL"}
	case ok:
		return &RefusedError{status.Error(), hint}
	case answer.StatusCode == http.StatusForbidden && !signed:
		status.Hint = "there are no keys, so requests are not signed: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws/credentials"
	case answer.StatusCode == http.StatusForbidden && answer.Request != nil && answer.Request.Method == http.MethodPut:
		status.Hint = "do these keys have the right to write to the bucket?"
	case status.Reason == "EntityTooLarge":
		status.Hint = "the server takes no file of this size in one piece"
	}
	return status
}

// maxAnswer is the maximum size in bytes of the text of an error.
const maxAnswer = 16 << 10

// reasonIn returns the code in the text of an error, such as AccessDenied; "" if there is none.
func reasonIn(r io.Reader) string {
	var answer struct{ Code string }
	if err := xml.NewDecoder(io.LimitReader(r, maxAnswer)).Decode(&answer); err != nil || !word.MatchString(answer.Code) {
		return ""
	}
	return answer.Code
}
