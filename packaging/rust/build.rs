// Tells cargo where the installed library is: the folder that LIBHAKMEM_DIR names, or the one that
// pkg-config knows. With neither the linker looks where it always does.
// (Not HAKMEM_*: those names are the library's own options.)

use std::env;
use std::process::Command;

fn folder_of_pkg_config() -> Option<String> {
    let output = Command::new("pkg-config")
        .args(["--variable=libdir", "hakmem"])
        .output()
        .ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !folder.trim().is_empty()).then(|| folder.trim().to_string())
}

fn main() {
    println!("cargo:rerun-if-env-changed=LIBHAKMEM_DIR");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    if let Some(folder) = env::var("LIBHAKMEM_DIR").ok().or_else(folder_of_pkg_config) {
        println!("cargo:rustc-link-search=native={folder}");
    }
    let kind = if env::var_os("CARGO_FEATURE_STATIC").is_some() {
        "static"
    } else {
        "dylib"
    };
    println!("cargo:rustc-link-lib={kind}=hakmem");
}
