package awskeys

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/sigv4"
)

const credentials = `# comment
[default]
aws_access_key_id = ID
aws_secret_access_key=secret=/+
  aws_session_token = of a setting above

[ other ]
AWS_ACCESS_KEY_ID = OTHER
aws_secret_access_key = x
aws_session_token = token
[half]
aws_access_key_id = HALF
`

const config = `[default]
region = eu-west-1
aws_access_key_id = overridden
[profile other]
region = eu-west-2
; comment
[profile role]
role_arn = arn:aws:iam::1:role/x
`

func TestFind(t *testing.T) {
	home := t.TempDir()
	os.Mkdir(filepath.Join(home, ".aws"), 0o755)
	for name, text := range map[string]string{"credentials": credentials, "config": config} {
		if err := os.WriteFile(filepath.Join(home, ".aws", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for what, c := range map[string]struct {
		env     map[string]string
		profile string
		want    Account
		err     string
	}{
		"nothing":          {nil, "", Account{}, ""},
		"environment":      {map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c", "AWS_DEFAULT_REGION": "r", "HOME": home}, "", Account{sigv4.Keys{ID: "a", Secret: "b", Token: "c"}, "r"}, ""},
		"half of it":       {map[string]string{"AWS_ACCESS_KEY_ID": "a"}, "", Account{}, "AWS_SECRET_ACCESS_KEY is not"},
		"default":          {map[string]string{"HOME": home}, "", Account{sigv4.Keys{ID: "ID", Secret: "secret=/+"}, "eu-west-1"}, ""},
		"named":            {map[string]string{"HOME": home, "AWS_ACCESS_KEY_ID": "a"}, "other", Account{sigv4.Keys{ID: "OTHER", Secret: "x", Token: "token"}, "eu-west-2"}, ""},
		"of environment":   {map[string]string{"HOME": home, "AWS_PROFILE": "other", "AWS_REGION": "r"}, "", Account{sigv4.Keys{ID: "OTHER", Secret: "x", Token: "token"}, "r"}, ""},
		"other file":       {map[string]string{"AWS_SHARED_CREDENTIALS_FILE": filepath.Join(home, ".aws/credentials")}, "", Account{sigv4.Keys{ID: "ID", Secret: "secret=/+"}, ""}, ""},
		"no such profile":  {map[string]string{"HOME": home}, "none", Account{}, `there is no profile "none" in ` + home + "/.aws/credentials or"},
		"without a secret": {map[string]string{"HOME": home}, "half", Account{}, "lacks aws_access_key_id or"},
		"role":             {map[string]string{"HOME": home}, "role", Account{}, "lacks aws_access_key_id or"},
		"a directory":      {map[string]string{"AWS_CONFIG_FILE": home}, "", Account{}, "is a directory"},
	} {
		got, err := Find(func(name string) string { return c.env[name] }, c.profile)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "secret=") {
				t.Errorf("%s: %v, want %s", what, err, c.err)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
}

func FuzzSection(f *testing.F) {
	f.Add(credentials, "other", false)
	f.Add(config, "profile other", true)
	hosttest.Fuzz(f, func(t *testing.T, text, name string, isDefault bool) {
		for key := range section(text, name, isDefault) {
			if key != strings.TrimSpace(strings.ToLower(key)) {
				t.Errorf("%q", key)
			}
		}
	})
}
