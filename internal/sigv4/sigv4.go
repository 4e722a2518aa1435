// Package sigv4 signs requests to Amazon's services, and to others that speak S3, with version 4 of Amazon's signatures ("AWS Signature Version
// 4", in the reference of IAM). Only whole requests are signed, in a header.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Keys are the keys of an account.
type Keys struct {
	ID, Secret string
	Token      string // of keys that expire; "" for others
}

// A Request is what is signed of a request.
type Request struct {
	Method  string
	URL     *url.URL // the path is signed as [Escape] writes it, and must be sent so
	Payload string   // hexadecimal SHA-256 of the body, or [Empty]
	Region  string
	Service string // "s3"
	Time    time.Time
	Header  map[string]string // further headers that are signed
}

// Empty is the payload of a request without a body.
const Empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

const (
	algorithm = "AWS4-HMAC-SHA256"
	day       = "20060102"
	second    = day + "T150405Z"
)

// Headers returns the headers that sign a request, with those of its Header.
func (k Keys) Headers(r Request) map[string]string {
	at := r.Time.UTC()
	headers := map[string]string{"X-Amz-Content-Sha256": r.Payload, "X-Amz-Date": at.Format(second)}
	maps.Copy(headers, r.Header)
	if k.Token != "" {
		headers["X-Amz-Security-Token"] = k.Token
	}
	signed, names := canonicalHeaders(r.URL.Host, headers)
	canonical := strings.Join([]string{r.Method, Escape(r.URL.Path), query(r.URL), signed, names, r.Payload}, "\n")
	scope := strings.Join([]string{at.Format(day), r.Region, r.Service, "aws4_request"}, "/")
	sum := sha256.Sum256([]byte(canonical))
	text := strings.Join([]string{algorithm, at.Format(second), scope, hex.EncodeToString(sum[:])}, "\n")
	headers["Authorization"] = fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%x", algorithm, k.ID, scope, names, mac(k.derived(scope), text))
	return headers
}

// derived returns the key for a day, a region and a service.
func (k Keys) derived(scope string) []byte {
	key := []byte("AWS4" + k.Secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	return key
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// canonicalHeaders returns the headers that are signed, a line for each, and their names.
func canonicalHeaders(host string, headers map[string]string) (lines, names string) {
	all := map[string]string{"host": host}
	for name, value := range headers {
		all[strings.ToLower(name)] = strings.TrimSpace(value)
	}
	sorted := slices.Sorted(maps.Keys(all))
	for _, name := range sorted {
		lines += name + ":" + all[name] + "\n"
	}
	return lines, strings.Join(sorted, ";")
}

// query returns the query of a URL in the order that is signed.
func query(u *url.URL) string {
	var pairs []string
	for name, values := range u.Query() {
		for _, v := range values {
			pairs = append(pairs, escape(name, "")+"="+escape(v, ""))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// Escape returns the path of a URL with every character escaped but letters, digits and "-_.~/". The path of the root is "/".
func Escape(path string) string {
	if path == "" {
		return "/"
	}
	return escape(path, "/")
}

// escape escapes all bytes but the unreserved ones and those in keep.
func escape(s, keep string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_.~"+keep, c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
