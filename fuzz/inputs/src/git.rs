//! What a connection to the git service says first, and the commands of a push. No input panics; what is understood is
//! understood in one way only.

use policy::{RefPattern, is_ref_name};
use wire::{GitCommand, PacketHead, parse_git_request, parse_packet_head, parse_push_command};

pub fn run(input: &[u8]) {
    if let Some((head, rest)) = input.split_first_chunk::<4>()
        && let Some(PacketHead::Data(length)) = parse_packet_head(*head)
    {
        assert_eq!(format!("{:04x}", length + 4).as_bytes(), head.to_ascii_lowercase());
        if let Some(data) = rest.get(..length) {
            packet(data);
        }
    }
    packet(input);
    if let Ok(text) = String::from_utf8(input.to_vec())
        && let Ok(pattern) = RefPattern::try_from(text.clone())
        && is_ref_name(&text)
    {
        assert!(pattern.matches(&text) && pattern.matches_loosely(&text));
    }
}

fn packet(data: &[u8]) {
    if let Some(request) = parse_git_request(data) {
        let command = match request.command {
            GitCommand::UploadPack => "git-upload-pack",
            GitCommand::ReceivePack => "git-receive-pack",
            GitCommand::UploadArchive => "git-upload-archive",
        };
        let version = if request.version == 0 { String::new() } else { format!("\0version={}\0", request.version) };
        let plain = format!("{command} /{}\0host=git.bottle\0{version}", request.remote);
        assert_eq!(parse_git_request(plain.as_bytes()), Some(request));
    }
    if let Some(command) = parse_push_command(data) {
        let update = &command.update;
        let plain = format!("{} {} {}\0{}", update.old, update.new, update.name, command.capabilities.join(" "));
        assert_eq!(parse_push_command(plain.as_bytes()).as_ref(), Some(&command));
        assert!(is_ref_name(&update.name));
    }
}
