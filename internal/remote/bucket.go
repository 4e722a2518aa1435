package remote

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// A bucket is what a URL with the scheme s3 says, in Nix's words: s3://bucket/prefix?endpoint=…&region=…&profile=….
type bucket struct {
	name, prefix string
	endpoint     *url.URL // nil for Amazon's
	scheme       string   // "" for that of the endpoint
	region       string   // "" for that of the account
	profile      string   // "" for the default one
	path         bool     // whether the bucket is in the path, not the name of the host
}

// bucketName is the form of the names of buckets. Old ones may be longer and have capitals.
var bucketName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{1,254}$`)

// word is the form of regions and of the codes of errors.
var word = regexp.MustCompile(`^[a-zA-Z0-9-]{1,60}$`)

// parameters set a bucket's fields. They are those of Nix that matter to readers.
var parameters = map[string]func(b *bucket, value string) error{
	"endpoint":         (*bucket).setEndpoint,
	"scheme":           (*bucket).setScheme,
	"region":           (*bucket).setRegion,
	"profile":          func(b *bucket, v string) error { b.profile = v; return nil },
	"addressing-style": (*bucket).setStyle,
}

// order is the order in which they are set: an endpoint changes the style.
var order = []string{"endpoint", "scheme", "region", "profile", "addressing-style"}

// parseBucket parses the parts of a URL.
func parseBucket(u *url.URL) (*bucket, error) {
	b := &bucket{name: u.Host, prefix: u.Path}
	query, err := url.ParseQuery(u.RawQuery)
	switch {
	case err != nil:
		return nil, err
	case u.User != nil:
		return nil, errors.New("keys do not belong in the URL: put them into the environment, or name a profile")
	case u.Fragment != "" || u.Opaque != "":
		return nil, errors.New("it is not of the form s3://bucket/prefix")
	case !bucketName.MatchString(b.name):
		return nil, fmt.Errorf("%.60q is not the name of a bucket", b.name)
	}
	for _, key := range order {
		for _, value := range query[key] {
			if err := parameters[key](b, value); err != nil {
				return nil, fmt.Errorf("%s: %v", key, err)
			}
		}
		if len(query[key]) > 1 {
			return nil, fmt.Errorf("%s is there twice", key)
		}
		delete(query, key)
	}
	if len(query) > 0 {
		return nil, fmt.Errorf("parameter %.60q is not supported, only %s are", slices.Sorted(maps.Keys(query))[0], strings.Join(order, ", "))
	}
	return b, nil
}

// setEndpoint takes a host, perhaps with a port, or a URL.
func (b *bucket) setEndpoint(value string) error {
	if !strings.Contains(value, "://") {
		value = "https://" + value
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("%.100q is not a host or a URL of one", value)
	}
	b.endpoint, b.path = &url.URL{Scheme: u.Scheme, Host: u.Host}, true
	return nil
}

func (b *bucket) setScheme(value string) error {
	if value != "http" && value != "https" {
		return fmt.Errorf("%.40q is not http or https", value)
	}
	b.scheme = value
	return nil
}

func (b *bucket) setRegion(value string) error {
	if b.region = value; !word.MatchString(value) {
		return fmt.Errorf("%.60q is not the name of a region", value)
	}
	return nil
}

func (b *bucket) setStyle(value string) error {
	switch value {
	case "auto":
	case "path", "virtual":
		b.path = value == "path"
	default:
		return fmt.Errorf("%.40q is not auto, path or virtual", value)
	}
	return nil
}

// base returns the URL of the directory.
func (b *bucket) base(region string) *url.URL {
	u := &url.URL{Scheme: "https", Host: "s3." + region + ".amazonaws.com"}
	if b.endpoint != nil {
		*u = *b.endpoint
	}
	u.Scheme = cmp.Or(b.scheme, u.Scheme)
	if b.path || b.endpoint == nil && strings.Contains(b.name, ".") { // a certificate covers no more than one label
		return u.JoinPath(b.name, b.prefix)
	}
	u.Host = b.name + "." + u.Host
	return u.JoinPath(b.prefix)
}
