// Package awskeys finds the keys of an account as Amazon's tools do: in the environment, else in the files of the user ("Configuration and
// credential file settings", in the guide of the AWS CLI). Accounts that have to be asked for keys, such as those of single sign-on, of roles or of
// the machine itself, are not supported; programs such as "aws configure export-credentials" write their keys into the environment.
package awskeys

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"imprint/internal/sigv4"
)

// An Account is what requests are signed with.
type Account struct {
	sigv4.Keys        // ID is "" if there are none: requests are not signed
	Region     string // "" if unknown
}

// maxFile is the maximum size of a file in bytes.
const maxFile = 1 << 20

// Find finds the keys of a profile. Without one, the environment comes first (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), and
// then the profile AWS_PROFILE or else "default", which need not exist. env returns variables of the environment.
func Find(env func(string) string, profile string) (Account, error) {
	a := Account{Region: cmp.Or(env("AWS_REGION"), env("AWS_DEFAULT_REGION"))}
	if id := env("AWS_ACCESS_KEY_ID"); profile == "" && id != "" {
		a.Keys = sigv4.Keys{ID: id, Secret: env("AWS_SECRET_ACCESS_KEY"), Token: env("AWS_SESSION_TOKEN")}
		if a.Secret == "" {
			return a, errors.New("AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not")
		}
		return a, nil
	}
	wanted := cmp.Or(profile, env("AWS_PROFILE"))
	found, err := read(env, cmp.Or(wanted, "default"))
	switch {
	case err != nil:
		return a, err
	case found == nil && wanted != "":
		return a, fmt.Errorf("there is no profile %.60q in %s or %s", wanted, file(env, "AWS_SHARED_CREDENTIALS_FILE", "credentials"), file(env, "AWS_CONFIG_FILE", "config"))
	}
	a.Region = cmp.Or(a.Region, found["region"])
	a.Keys = sigv4.Keys{ID: found["aws_access_key_id"], Secret: found["aws_secret_access_key"], Token: found["aws_session_token"]}
	if wanted != "" && a.ID == "" || (a.ID == "") != (a.Secret == "") {
		return a, fmt.Errorf("profile %.60q lacks aws_access_key_id or aws_secret_access_key", cmp.Or(wanted, "default"))
	}
	return a, nil
}

// file returns the path of a file of the user; "" if there can be none.
func file(env func(string) string, variable, name string) string {
	if f := env(variable); f != "" {
		return f
	}
	if home := env("HOME"); home != "" {
		return filepath.Join(home, ".aws", name)
	}
	return ""
}

// read returns the settings of a profile in the two files; nil if neither has it. Keys in the file for credentials come first.
func read(env func(string) string, profile string) (map[string]string, error) {
	var all map[string]string
	for _, f := range []struct{ path, section string }{
		{file(env, "AWS_CONFIG_FILE", "config"), "profile " + profile},
		{file(env, "AWS_SHARED_CREDENTIALS_FILE", "credentials"), profile},
	} {
		text, err := readFile(f.path)
		if err != nil {
			return nil, err
		}
		for key, value := range section(text, f.section, profile == "default") {
			if all == nil {
				all = map[string]string{}
			}
			all[key] = value
		}
	}
	return all, nil
}

// readFile returns the text of a file; "" if there is none.
func readFile(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return string(b), err
}

// section returns the settings below [name], or below [default] for the default profile; nil if there is no such section. Indented lines belong to
// a setting above them, and none of those is of interest.
func section(text, name string, isDefault bool) (found map[string]string) {
	inside := false
	for line := range strings.Lines(text) {
		indented := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';' || indented:
		case line[0] == '[':
			title, _, _ := strings.Cut(line[1:], "]")
			title = strings.Join(strings.Fields(title), " ")
			if inside = title == name || isDefault && title == "default"; inside && found == nil {
				found = map[string]string{}
			}
		case inside:
			key, value, _ := strings.Cut(line, "=")
			found[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
		}
	}
	return found
}
