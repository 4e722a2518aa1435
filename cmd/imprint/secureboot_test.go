package main

import (
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/nixtest"
	"imprint/internal/qemutest"
)

// snakeOil is the key in Debian's package ovmf that its firmware for Secure Boot trusts. The pass phrase is snakeoil.
const snakeOil = "/usr/share/ovmf/PkKek-1-snakeoil"

// keys makes the key and certificate that configs/uki-signed.toml names, in dir: the snake oil key, or one that is not trusted.
func keys(t *testing.T, dir string, trusted bool) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	key, certificate := filepath.Join(dir, "db.key"), filepath.Join(dir, "db.pem")
	if !trusted {
		hosttest.Run(t, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=other", "-keyout", key, "-out", certificate)
		return
	}
	hosttest.NeedFile(t, snakeOil+".key", snakeOil+".pem")
	hosttest.Run(t, "openssl", "rsa", "-passin", "pass:snakeoil", "-in", snakeOil+".key", "-out", key)
	hosttest.Run(t, "cp", snakeOil+".pem", certificate)
}

// Firmware with Secure Boot refuses a program without a signature, and one signed with another key. TestBootMatrix boots a signed one.
func TestSecureBootRefuses(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, dir string) string{
		"unsigned":    func(*testing.T, string) string { return "uki.toml" },
		"another key": func(t *testing.T, dir string) string { keys(t, dir+"/../build/keys", false); return "uki-signed.toml" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := configs(t)
			image := filepath.Join(dir, "image.raw")
			imprint(t, "build", filepath.Join(dir, prepare(t, dir)), "-o", image)
			r, err := qemutest.Run(t.Context(), qemutest.Options{Image: image, Mode: "uefi-secure", Marker: marker, Bad: "Access Denied"})
			if err == nil || !strings.Contains(r.Serial, "Access Denied") || strings.Contains(r.Serial, "imprint: hello") {
				t.Errorf("error %v\n%s", err, r.Serial)
			}
		})
	}
}

// Errors in a key or certificate are reported for the key of the description that names it.
func TestSigningMistakes(t *testing.T) {
	dir := configs(t)
	build := filepath.Join(dir, "../build/keys")
	keys(t, build, true)
	file := filepath.Join(dir, "uki-signed.toml")
	says := func(want string) {
		t.Helper()
		var out, err strings.Builder
		code := Main(t.Context(), world{&out, &err, []string{"plan", file}, func(string) string { return "" }})
		if code != exitInvalid || !strings.Contains(err.String(), want) {
			t.Errorf("exit code %d, want %q:\n%s", code, want, err.String())
		}
	}
	good, readErr := os.ReadFile(filepath.Join(build, "db.pem"))
	if readErr != nil {
		t.Fatal(readErr)
	}
	keys(t, filepath.Join(dir, "other"), false)
	hosttest.Run(t, "cp", filepath.Join(dir, "other/db.pem"), filepath.Join(build, "db.pem"))
	says("boot.sign-certificate: is not the certificate of sign-key")
	writeFile(t, filepath.Join(build, "db.pem"), "no certificate")
	says("boot.sign-certificate: contains no certificate in PEM")
	writeFile(t, filepath.Join(build, "db.pem"), string(good))
	hosttest.Run(t, "cp", snakeOil+".key", filepath.Join(build, "db.key"))
	says("boot.sign-key: the key has a passphrase")
	hosttest.Run(t, "openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", filepath.Join(build, "db.key"))
	says("boot.sign-key: the key is an EC PRIVATE KEY, not an RSA one")
	writeFile(t, filepath.Join(build, "db.key"), string(good))
	says("boot.sign-key: contains no private key in PEM")
}

// A build does not write or print the private key in any form, and its signature is valid for the certificate.
func TestKeyStaysSecret(t *testing.T) {
	hosttest.Need(t, "openssl", "sbverify", "mcopy")
	dir := configs(t)
	build := filepath.Join(dir, "../build/keys")
	keys(t, build, false)
	image, export := filepath.Join(dir, "image.raw"), filepath.Join(dir, "export")
	var said strings.Builder
	code := Main(t.Context(), world{&said, &said, []string{
		"build", filepath.Join(dir, "uki-signed.toml"), "-o", image, "--export-boot", export, "--json", "--log-level", "debug",
	}, func(string) string { return "" }})
	if code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, said.String())
	}
	writeFile(t, filepath.Join(dir, "said"), said.String())
	text, err := os.ReadFile(filepath.Join(build, "db.key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no key in %s", text)
	}
	secret := block.Bytes[len(block.Bytes)-64:] // the coefficient, which is last
	lines := strings.Split(string(text), "\n")
	for _, file := range []string{image, image + ".json", filepath.Join(export, "boot.json"), filepath.Join(dir, "said")} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{string(secret), hex.EncodeToString(secret), lines[5]} {
			if strings.Contains(string(content), form) {
				t.Errorf("%s has the key in it", file)
			}
		}
	}
	esp := nixtest.Partition(t, image, "esp")
	hosttest.Run(t, "mcopy", "-i", fmt.Sprintf("%s@@%d", image, esp.Offset), "::/EFI/BOOT/BOOTX64.EFI", filepath.Join(dir, "uki.efi"))
	hosttest.Run(t, "sbverify", "--cert", filepath.Join(build, "db.pem"), filepath.Join(dir, "uki.efi"))
}
